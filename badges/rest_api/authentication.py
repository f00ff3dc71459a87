"""Who is asking: the host's session, and its JWT where it has them, unless the settings name other ways."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework.authentication import BaseAuthentication, SessionAuthentication

from badges.conf import config

JWT_PACKAGE = "edx_rest_framework_extensions"
JWT_AUTHENTICATION = f"{JWT_PACKAGE}.auth.jwt.authentication.JwtAuthentication"


def authenticators() -> list[BaseAuthentication]:
    """Return the ways of ``BADGES_CONFIG["rest_api"]["authentication"]``, or those that fit the host."""
    named = config.rest_api["authentication"]
    if named is not None:
        return [import_string(name)() for name in named]
    if hasattr(settings, "JWT_AUTH") and _has_jwt():
        return [import_string(JWT_AUTHENTICATION)(), SessionAuthentication()]
    return [SessionAuthentication()]


@cache
def _has_jwt() -> bool:
    return find_spec(JWT_PACKAGE) is not None
