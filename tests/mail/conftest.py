"""A host that sends mail to a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def smtp_server(settings: Any) -> Iterator[Any]:
    """Run a mail server, and let the settings lead to it."""
    from tests.support.smtp_server import SmtpServer  # noqa: PLC0415 -- Django is not ready yet

    with SmtpServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.DEFAULT_FROM_EMAIL = "Badges <badges@credentials.test>"
        yield server
