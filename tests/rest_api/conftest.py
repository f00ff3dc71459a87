"""People who ask, and the schema that answers are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def learner(db: None) -> Any:
    """A learner with an account."""
    from tests.factories import LearnerFactory  # noqa: PLC0415 -- Django is not ready when this file is imported

    return LearnerFactory()


@pytest.fixture
def staff_client(db: None) -> Callable[..., Any]:
    """Sign in as somebody with these permissions: ``staff_client("view_usercredential")``."""
    from django.contrib.auth.models import Permission  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from tests.factories import UserFactory  # noqa: PLC0415

    def make(*permissions: str) -> Any:
        user = UserFactory()
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def learner_client(learner: Any, client: Any) -> Any:
    """Sign in as the learner."""
    client.force_login(learner.user)
    return client
