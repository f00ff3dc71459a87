"""A dict in the host's settings, merged over defaults. It is read at each access, never at import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Config:
    """
    Attribute access to a dict of the host's settings, merged over ``defaults``.

    ``defaults`` has all names; any other name raises AttributeError. A dict in the settings is merged over a dict in
    the defaults. Any other value replaces the default. Raises ImproperlyConfigured when the setting is not a dict.

    ``host_setting`` names a dict of the host's own, which is never changed. What it has under the ``shared`` names is
    a default: it replaces ``defaults``, and ``setting`` replaces it.
    """

    def __init__(
        self, setting: str, defaults: dict[str, Any], *, host_setting: str | None = None, shared: Iterable[str] = ()
    ) -> None:
        self._setting, self._defaults = setting, defaults
        self._host_setting, self._shared = host_setting, frozenset(shared)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._defaults:
            raise AttributeError(name)
        given = getattr(settings, self._setting, {})
        if not isinstance(given, dict):
            raise ImproperlyConfigured(f"{self._setting} must be a dict; see the settings page of the documentation.")
        value = self._defaults[name]
        for settings_dict in (self._host_defaults(name), given):
            if name in settings_dict:
                value = _merged(value, settings_dict[name])
        return value

    def _host_defaults(self, name: str) -> dict[str, Any]:
        """Return the host's own dict where it has something usable under this name. Its mistakes are not reported."""
        if self._host_setting is None or name not in self._shared:
            return {}
        found = getattr(settings, self._host_setting, {})
        kind = dict if isinstance(self._defaults[name], dict) else (list, tuple)
        return found if isinstance(found, dict) and isinstance(found.get(name), kind) else {}


def _merged(default: Any, value: Any) -> Any:
    if isinstance(default, dict) and default and isinstance(value, dict):
        return {**default, **value}
    return value
