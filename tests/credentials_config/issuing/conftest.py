"""A storage and a generator for every test of issuing, and a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.smtp_server import SmtpServer


@pytest.fixture(autouse=True)
def _storage_and_generator(folder: Path, text_generator: Any) -> None:
    pass


@pytest.fixture
def smtp_server(settings: Any) -> Iterator[SmtpServer]:
    """Run a mail server, and let the settings lead to it."""
    from tests.support.smtp_server import SmtpServer  # noqa: PLC0415 -- Django is not ready yet

    with SmtpServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.DEFAULT_FROM_EMAIL = "Certificates <certificates@credentials.test>"
        yield server
