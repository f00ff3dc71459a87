"""Staff with and without permissions, and words for filling in a template's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """Make a member of staff with these permissions: ``staff("view_badgetemplate")``."""
    from django.contrib.auth.models import Permission  # noqa: PLC0415 -- Django is not ready when this file is imported

    from tests.factories import UserFactory  # noqa: PLC0415

    def make(*permissions: str, **given: Any) -> Any:
        user = UserFactory(is_staff=True, **given)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        return user

    return make
