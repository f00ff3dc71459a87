"""Staff with and without permissions, a course with learners, and a typewriter for documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.credentials_config.issuing.typewriter import Typewriter


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """Sign in as a member of staff with these permissions: ``staff("view_credential")``."""
    from django.contrib.auth.models import Permission  # noqa: PLC0415 -- Django is not ready when this file is imported
    from django.test import Client  # noqa: PLC0415

    from tests.factories import UserFactory  # noqa: PLC0415

    def make(*permissions: str, **options: Any) -> Any:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        client = Client(**options)
        client.force_login(user)
        return client

    return make


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """Keep documents and assets in a folder of this test, behind a public address."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.CREDENTIALS_CONFIG = {"public_url": "https://credentials.test"}
    return tmp_path / "media"


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
def course(lms: Any) -> Any:
    """The LMS, with a course that three learners have finished and two have not."""
    from tests.credentials_config.issuing.stories import algebra  # noqa: PLC0415

    algebra(lms)
    return lms
