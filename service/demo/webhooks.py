"""The demo's webhook: a learner accepts a badge at Credly, Credly says so, and it shows here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from rich.console import Console

from badges.issuers import webhooks
from badges.issuers.credly.models import CredlyBadge, CredlyState
from badges.testing.credly import CredlyProcess


def accept_a_badge(console: Console, output: Any, credly: CredlyProcess, *, port: int) -> str:
    """Let one learner accept a badge at Credly, and print what became of it; return the address of the webhooks."""
    address = webhooks.new_address("credly", credly.organization, host=f"http://127.0.0.1:{port}")
    badge = CredlyBadge.objects.filter(state=CredlyState.PENDING).order_by("pk").first()
    if badge is None:
        return address
    with _served(port):
        credly.set_webhook(url=address)
        credly.accept_badge(badge_id=str(badge.external_uuid))
        credly.wait_for_webhooks()
        credly.set_webhook(url=None)
    console.print(f"Credly has sent a webhook. Badge {badge.external_uuid} is still {badge.state} here.")
    call_command("badges_drain", stdout=output)
    badge.refresh_from_db()
    console.print(f"After its event was fetched from Credly: badge {badge.external_uuid} is {badge.state}.")
    return address


class _Quiet(WSGIRequestHandler):
    """Prints no line for each request: the address has a secret."""

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def _served(port: int) -> Iterator[None]:
    """Serve this host on a port of this machine."""
    server = make_server("127.0.0.1", port, get_wsgi_application(), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
