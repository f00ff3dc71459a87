"""One dict in the host's settings, over defaults of ours; read when asked, never at import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Config:
    """
    Attribute access to a dict of the host's settings merged over ``defaults``, which are the whole list of names.

    A dict in the settings is merged over a dict in the defaults, anything else replaces it. A name that has no default
    is a programming error.

    ``beneath`` names another dict of the host's, which is not ours and never changed: its ``shared`` names are taken
    for defaults, over those given here and under ``setting``.
    """

    def __init__(
        self, setting: str, defaults: dict[str, Any], *, beneath: str | None = None, shared: Iterable[str] = ()
    ) -> None:
        self._setting, self._defaults = setting, defaults
        self._beneath, self._shared = beneath, frozenset(shared)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._defaults:
            raise AttributeError(name)
        given = getattr(settings, self._setting, {})
        if not isinstance(given, dict):
            raise ImproperlyConfigured(f"{self._setting} must be a dict; see the settings page of the documentation.")
        value = self._defaults[name]
        for layer in (self._host_layer(name), given):
            if name in layer:
                value = _over(value, layer[name])
        return value

    def _host_layer(self, name: str) -> dict[str, Any]:
        """Return what the host's own dict says; whatever is wrong with it is not ours to complain about."""
        layer = getattr(settings, self._beneath, {}) if self._beneath and name in self._shared else {}
        kind = dict if isinstance(self._defaults[name], dict) else (list, tuple)
        return layer if isinstance(layer, dict) and isinstance(layer.get(name), kind) else {}


def _over(default: Any, value: Any) -> Any:
    if isinstance(default, dict) and default and isinstance(value, dict):
        return {**default, **value}
    return value
