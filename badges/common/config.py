"""A dict in the host's settings over defaults of a plugin. It is read when a value is asked for, never at import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class NumberOrNone(int):
    """The default of a setting that may be None instead of a number, such as a limit that can be left out."""


class Config:
    """
    Attribute access to a dict of the host's settings, merged over ``defaults``.

    ``defaults`` has all names; any other name raises AttributeError. A dict in the settings is merged over a dict in
    the defaults. Any other value replaces the default. With ``section`` the dict is the one under that key of the
    setting. Raises ImproperlyConfigured when it is not a dict.

    ``host_setting`` names a dict of the host's own, which is never changed. Its values are defaults: they replace those
    of ``defaults``, and those of ``setting`` replace them. ``shared`` are the names that are read there; None: all.
    """

    def __init__(
        self,
        setting: str,
        defaults: dict[str, Any],
        *,
        section: str | None = None,
        host_setting: str | None = None,
        shared: Iterable[str] | None = None,
    ) -> None:
        self._setting, self._defaults, self._section = setting, defaults, section
        self._host_setting, self._shared = host_setting, frozenset(defaults if shared is None else shared)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._defaults:
            raise AttributeError(name)
        value = self._defaults[name]
        for given in (self._host_values(name), self._given()):
            if name in given:
                value = _merged(value, given[name])
        return value

    def _given(self) -> dict[str, Any]:
        given, place = getattr(settings, self._setting, {}), self._setting
        if self._section is not None and isinstance(given, dict):
            given, place = given.get(self._section, {}), f"{place}[{self._section!r}]"
        if not isinstance(given, dict):
            raise ImproperlyConfigured(f"{place} must be a dict; see the settings page of the documentation.")
        return given

    def _host_values(self, name: str) -> dict[str, Any]:
        """Return the host's own dict where it has something usable under this name. Its mistakes are not reported."""
        if self._host_setting is None or name not in self._shared:
            return {}
        found = getattr(settings, self._host_setting, {})
        if self._section is not None and isinstance(found, dict):
            found = found.get(self._section, {})
        default = self._defaults[name]
        kinds = (list, tuple) if isinstance(default, list) else type(default)
        return found if isinstance(found, dict) and isinstance(found.get(name), kinds) else {}


def _merged(default: Any, value: Any) -> Any:
    if isinstance(default, dict) and default and isinstance(value, dict):
        return {**default, **value}
    return value
