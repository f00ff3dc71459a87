"""Users with permissions, and clients in which they are signed in."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.test import Client

from badges.common.permissions import codename
from tests.factories import UserFactory

OURS = ("lms_badges", "lms_credentials_config")


def somebody(*permissions: str, **given: Any) -> Any:
    """
    Return a new user with permissions for models of ours: ``somebody("view_badgetemplate", is_staff=True)``.

    A permission is written as its verb and the name of the model, which only one of our apps has.
    """
    user = UserFactory(**given)
    for verb, model in (permission.rsplit("_", 1) for permission in permissions):
        label = next(label for label in OURS if model in apps.all_models[label])
        user.user_permissions.add(Permission.objects.get(codename=codename(verb, apps.get_model(label, model))))
    return user


def signed_in(user: Any, **options: Any) -> Client:
    """Return a test client in which the user is signed in. The options are those of Django's ``Client``."""
    client = Client(**options)
    client.force_login(user)
    return client
