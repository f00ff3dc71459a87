"""Users with permissions, and clients in which they are signed in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import UserFactory


def somebody(*permissions: str, **given: Any) -> Any:
    """Return a new user with these permissions: ``somebody("view_badgetemplate", is_staff=True)``."""
    user = UserFactory(**given)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return user


def signed_in(user: Any, **options: Any) -> Client:
    """Return a test client in which the user is signed in. The options are those of Django's ``Client``."""
    client = Client(**options)
    client.force_login(user)
    return client
