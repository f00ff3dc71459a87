"""People who ask, a course with learners, and a typewriter for documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _fresh(settings: Any, tmp_path: Path) -> Iterator[None]:
    from django.core.cache import cache  # noqa: PLC0415 -- Django is not ready when this file is imported

    cache.clear()
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.CREDENTIALS_CONFIG = {"public_url": "https://credentials.test"}
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _typewriter() -> Iterator[None]:
    from credentials_config import registry  # noqa: PLC0415
    from credentials_config.issuing import presses  # noqa: PLC0415
    from tests.credentials_config.issuing.typewriter import Typewriter  # noqa: PLC0415

    plugin = Typewriter()
    registry.register(plugin)
    yield
    registry.unregister(plugin)
    presses.forget()


@pytest.fixture
def learner(db: None) -> Any:
    """A learner with an account."""
    from tests.factories import LearnerFactory  # noqa: PLC0415

    return LearnerFactory()


@pytest.fixture
def learner_client(learner: Any, client: Any) -> Any:
    """Sign in as the learner."""
    client.force_login(learner.user)
    return client


@pytest.fixture
def staff_client(db: None) -> Callable[..., Any]:
    """Sign in as somebody with these permissions: ``staff_client("view_credential")``."""
    from django.contrib.auth.models import Permission  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from tests.factories import UserFactory  # noqa: PLC0415

    def make(*permissions: str, **options: Any) -> Any:
        user = UserFactory()
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        client = Client(**options)
        client.force_login(user)
        return client

    return make


@pytest.fixture
def course(lms: Any) -> Any:
    """The LMS, with a course that three learners have finished and two have not."""
    from tests.credentials_config.issuing.stories import algebra  # noqa: PLC0415

    algebra(lms)
    return lms
