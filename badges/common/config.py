"""A dict in the host's settings, merged over defaults. It is read at each access, never at import."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Config:
    """
    Attribute access to a dict of the host's settings, merged over ``defaults``.

    ``defaults`` has all names; any other name raises AttributeError. A dict in the settings is merged over a dict in
    the defaults. Any other value replaces the default. With ``section`` the dict is the one under that key of the
    setting. Raises ImproperlyConfigured when it is not a dict.
    """

    def __init__(self, setting: str, defaults: dict[str, Any], *, section: str | None = None) -> None:
        self._setting, self._defaults, self._section = setting, defaults, section

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._defaults:
            raise AttributeError(name)
        given = self._given()
        default = self._defaults[name]
        if name not in given:
            return default
        value = given[name]
        if isinstance(default, dict) and default and isinstance(value, dict):
            return {**default, **value}
        return value

    def _given(self) -> dict[str, Any]:
        given, place = getattr(settings, self._setting, {}), self._setting
        if self._section is not None and isinstance(given, dict):
            given, place = given.get(self._section, {}), f"{place}[{self._section!r}]"
        if not isinstance(given, dict):
            raise ImproperlyConfigured(f"{place} must be a dict; see the settings page of the documentation.")
        return given
