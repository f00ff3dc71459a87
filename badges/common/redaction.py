"""
What keeps secrets off error pages and out of the mails about errors.

Django hides a setting by its name, and tokens of the plugin stand under names that Django does not know, such as the
ids of organizations. ``plugin_settings`` chooses ``ErrorPageFilter`` where the host has chosen no filter.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template.defaultfilters import pprint
from django.utils.datastructures import MultiValueDict
from django.views.debug import SafeExceptionReporterFilter

HIDDEN = SafeExceptionReporterFilter.cleansed_substitute

# Django's own names, and those under which the plugin takes secrets: {organization: token}.
_SETTINGS = re.compile(f"{SafeExceptionReporterFilter.hidden_settings.pattern}|ORGANIZATIONS", re.IGNORECASE)
# Of variables and headers. Django's list is too long for these: it would hide every ``key``.
_VARIABLES = re.compile("API_KEY|AUTHORIZATION|COOKIE|CREDENTIALS|ORGANIZATIONS|PASSWORD|SECRET|TOKEN", re.IGNORECASE)
# Shorter texts are no secrets, and stand in other words.
_SHORTEST_SECRET = 8
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)")


class ErrorPageFilter(SafeExceptionReporterFilter):
    """
    Hides the plugin's secrets on error pages and in the mails about errors, also while ``DEBUG`` is on.

    Besides what Django hides: the tokens of organizations and passwords in addresses of settings; and in variables of
    the traceback the secrets of the settings, and what is called like a secret.
    """

    hidden_settings = _SETTINGS

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        """Return the value of a setting as it is shown."""
        cleansed = super().cleanse_setting(key, value)
        return _PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}", cleansed) if isinstance(cleansed, str) else cleansed

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        """Return the values of a form as they are shown."""
        parameters = super().get_post_parameters(request)
        return parameters if request is None else self.get_cleansed_multivaluedict(request, parameters)

    def get_cleansed_multivaluedict(self, request: HttpRequest, multivaluedict: Any) -> Any:
        """Return the values of a form that a variable has, as they are shown."""
        cleansed: Any = super().get_cleansed_multivaluedict(request, multivaluedict).copy()
        for name in cleansed:
            if _VARIABLES.search(name):
                cleansed[name] = HIDDEN
        return cleansed

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
        """Return the variables of a frame as they are shown."""
        variables = super().get_traceback_frame_variables(request, tb_frame)
        secrets = self._secrets_of_settings()
        return [(name, _without_texts(_without_named(name, value), secrets)) for name, value in variables]

    def _secrets_of_settings(self) -> set[str]:
        """Return the texts in the settings that are hidden by their names, also as headers have them."""
        found = set(_texts_that_differ(_all_settings(), self.get_safe_settings()))
        return found | {b64encode(f"{text}:".encode()).decode().rstrip("=")[:-1] for text in found}


class _Shown:
    """A variable as it is shown."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _all_settings() -> dict[str, Any]:
    return {name: getattr(settings, name) for name in dir(settings) if name.isupper()}


def _texts_that_differ(value: Any, safe: Any) -> Iterator[str]:
    """Yield the texts in a value that ``safe``, which is the same without secrets, does not have."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts_that_differ(each, safe.get(key) if isinstance(safe, Mapping) else None)
    elif isinstance(value, (list, tuple)):
        parts = safe if isinstance(safe, (list, tuple)) else [None] * len(value)
        for each, part in zip(value, parts, strict=True):
            yield from _texts_that_differ(each, part)
    elif isinstance(value, str) and value != safe and len(value) >= _SHORTEST_SECRET:
        yield value


def _without_named(name: Any, value: Any) -> Any:
    """Return a variable without what is called like a secret."""
    if isinstance(name, str) and _VARIABLES.search(name) and not callable(value):
        return HIDDEN
    if isinstance(value, Mapping) and not isinstance(value, MultiValueDict):
        return {key: _without_named(key, each) for key, each in value.items()}
    return value


def _without_texts(value: Any, secrets: set[str]) -> Any:
    """Return a variable without these texts, wherever they stand in it."""
    shown = text = pprint(value)
    for secret in secrets:
        shown = shown.replace(secret, HIDDEN)
    return value if shown == text else _Shown(shown)
