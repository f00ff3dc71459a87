"""A typewriter, a folder for documents, a post office; imported late, since Django is not ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.credentials_config.issuing.post_office import PostOffice
    from tests.credentials_config.issuing.typewriter import Typewriter


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Keep documents in a folder of this test, behind a public address."""
    settings.MEDIA_ROOT = tmp_path / "documents"
    given = getattr(settings, "CREDENTIALS_CONFIG", {})
    settings.CREDENTIALS_CONFIG = {**given, "public_url": "https://credentials.test"}
    return tmp_path / "documents"


@pytest.fixture(autouse=True)
def typewriter() -> Iterator[Typewriter]:
    from credentials_config import registry  # noqa: PLC0415
    from credentials_config.issuing import presses  # noqa: PLC0415
    from tests.credentials_config.issuing.typewriter import Typewriter  # noqa: PLC0415

    plugin = Typewriter()
    registry.register(plugin)
    yield plugin
    registry.unregister(plugin)
    presses.forget()


@pytest.fixture
def post_office(settings: Any) -> Iterator[PostOffice]:
    """Run a mail server that the settings lead to."""
    from tests.credentials_config.issuing.post_office import PostOffice  # noqa: PLC0415

    with PostOffice() as office:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", office.port
        settings.DEFAULT_FROM_EMAIL = "Diplomas <diplomas@credentials.test>"
        yield office
