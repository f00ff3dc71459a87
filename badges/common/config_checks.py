"""What is wrong with a dict of settings: keys that nobody reads, and values of another type than their default."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from badges.common.config import NumberOrNone


def config_problems(
    setting: str, defaults: dict[str, Any], *, no_dict: str, unknown: str, wrong: str
) -> Iterator[CheckMessage]:
    """
    Yield what is wrong with the host's dict of this name, compared with ``defaults``, which hold every known key.

    The others are the ids of the three kinds of findings. A key that nobody reads is a warning: what an
    error of ours stops is the host.
    """
    given = getattr(settings, setting, {})
    if isinstance(given, dict):
        yield from _problems(given, defaults, setting, unknown, wrong)
    else:
        yield Error(f"{setting} is not a dict.", hint=f"{setting} = {{}}", id=no_dict)


def _problems(
    given: dict[Any, Any], known: dict[str, Any], place: str, unknown: str, wrong: str
) -> Iterator[CheckMessage]:
    for key, value in given.items():
        where = f"{place}[{key!r}]"
        if key not in known:
            yield Warning(f"{where} is not a known setting.", hint=_hint(str(key), list(known)), id=unknown)
        elif not _has_type_of(value, known[key]):
            message = f"{where} is {_type_name(value)}; it should be {_type_name(known[key])}."
            yield Error(message, hint="The settings page of the documentation describes it.", id=wrong)
        elif isinstance(value, dict) and known[key]:
            yield from _problems(value, known[key], where, unknown, wrong)


def _hint(key: str, known: list[str]) -> str:
    by_fold = {word.lower(): word for word in known}
    near = difflib.get_close_matches(key.lower(), by_fold, n=1)
    return f"Did you mean {by_fold[near[0]]!r}?" if near else f"Known are: {', '.join(sorted(known))}."


def _has_type_of(value: Any, default: Any) -> bool:
    """Return whether a value has the type of the default. A default of None allows every type."""
    if default is None or (value is None and isinstance(default, NumberOrNone)):
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, (int, float)):
        return isinstance(value, (int, float))
    if isinstance(default, (list, tuple)):
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return isinstance(value, type(default))


def _type_name(value: Any) -> str:
    names = {
        NumberOrNone: "a number or None",
        bool: "True or False",
        int: "a number",
        float: "a number",
        str: "text",
        dict: "a dict",
    }
    if isinstance(value, (list, tuple)):
        return (
            "a list of texts" if all(isinstance(item, str) for item in value) else "a list of other things than texts"
        )
    return names.get(type(value), f"of type {type(value).__name__}")
