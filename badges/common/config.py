"""A dict in the host's settings, merged over defaults. It is read at each access, never at import."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Config:
    """
    Attribute access to a dict of the host's settings, merged over ``defaults``.

    ``defaults`` has all names; any other name raises AttributeError. A dict in the settings is merged over a dict in
    the defaults. Any other value replaces the default. Raises ImproperlyConfigured when the setting is not a dict.
    """

    def __init__(self, setting: str, defaults: dict[str, Any]) -> None:
        self._setting, self._defaults = setting, defaults

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._defaults:
            raise AttributeError(name)
        given = getattr(settings, self._setting, {})
        if not isinstance(given, dict):
            raise ImproperlyConfigured(f"{self._setting} must be a dict; see the settings page of the documentation.")
        default = self._defaults[name]
        if name not in given:
            return default
        value = given[name]
        if isinstance(default, dict) and default and isinstance(value, dict):
            return {**default, **value}
        return value
