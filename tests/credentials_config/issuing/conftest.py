"""Furniture for every test of issuing, and a post office."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.credentials_config.issuing.smtp_server import PostOffice


@pytest.fixture(autouse=True)
def _furnished(folder: Path, typewriter: Any) -> None:
    pass


@pytest.fixture
def smtp_server(settings: Any) -> Iterator[PostOffice]:
    """Run a mail server that the settings lead to."""
    from tests.credentials_config.issuing.smtp_server import PostOffice  # noqa: PLC0415 -- Django is not ready yet

    with PostOffice() as office:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", office.port
        settings.DEFAULT_FROM_EMAIL = "Certificates <certificate_data@credentials.test>"
        yield office
