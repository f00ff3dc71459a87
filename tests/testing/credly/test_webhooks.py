"""Webhooks, received by a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest


@pytest.fixture
def listener() -> Iterator[SimpleNamespace]:
    """Receives posts, and answers them with ``statuses`` in turn, then with 200."""
    posts, statuses = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/webhooks/secret/", posts=posts, statuses=statuses)
    server.shutdown()
    server.server_close()


def test_every_event_is_posted_in_order_without_what_it_is_about(credly, listener, ask):
    credly.set_webhook(listener.url)
    template = credly.add_template()
    badge_id = ask.issue(template).json()["data"]["id"]
    credly.accept_badge(badge_id)

    assert credly.wait_for_webhooks()
    assert [body["event_type"] for _, body in listener.posts] == [
        "badge_template.created",
        "badge.created",
        "badge.state.changed",
    ]
    assert [body["id"] for _, body in listener.posts] == [event.id for event in credly.events]
    path, body = listener.posts[0]
    assert path == "/webhooks/secret/"
    assert set(body) == {"id", "organization_id", "event_type", "occurred_at"}
    assert [delivery.status for delivery in credly.deliveries] == [200, 200, 200]


def test_nobody_is_told_what_happened_before_there_was_an_address(credly, template, listener):
    credly.set_webhook(listener.url)
    credly.archive_template(template.id)
    assert credly.wait_for_webhooks()
    assert [body["event_type"] for _, body in listener.posts] == ["badge_template.changed"]


def test_a_webhook_that_is_not_answered_with_200_is_posted_again(credly, listener):
    listener.statuses += [500, 204]  # Credly insists on 200
    credly.set_webhook(listener.url, retries=5, retry_after=0.01)
    credly.add_template()
    assert credly.wait_for_webhooks()
    assert [delivery.status for delivery in credly.deliveries] == [500, 204, 200]
    assert len({body["id"] for _, body in listener.posts}) == 1


def test_what_was_never_taken_is_posted_again_when_asked(credly, listener):
    listener.statuses += [503]
    credly.set_webhook(listener.url)
    missed, taken = credly.add_template(), credly.add_template()
    assert credly.wait_for_webhooks()

    assert credly.send_webhooks_again() == 1

    assert credly.wait_for_webhooks()
    first = credly.events[0]
    assert first.data["badge_template"]["id"] == missed.id != taken.id
    assert [body["id"] for _, body in listener.posts].count(first.id) == 2


def test_one_event_can_be_posted_again_and_again(credly, listener):
    credly.set_webhook(listener.url)
    credly.add_template()
    credly.send_webhooks_again(credly.events[0].id)
    assert credly.wait_for_webhooks()
    assert len(listener.posts) == 2
    assert listener.posts[0] == listener.posts[1]


def test_an_address_where_nobody_listens_is_noted(credly, listener):
    credly.set_webhook("http://127.0.0.1:1/")
    credly.add_template()
    assert credly.wait_for_webhooks()
    [delivery] = credly.deliveries
    assert (delivery.status, delivery.error) == (None, "ConnectionRefusedError")
