"""
Key paths: how a rule names a place in an event's data, ``course.course_key``.

Dots separate the keys; a dot that belongs to a key is written ``\\.`` and a backslash before a dot or another backslash
is written ``\\\\``. Only dictionaries are walked, never attributes: what a rule can see is what is in the stored text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(r"\\([\\.])|(\.)|(.)", re.DOTALL)


class _Nothing:
    """The value for what is not there: no such key, null, or a value of another type than declared."""

    def __repr__(self) -> str:
        return "NOTHING"

    def __bool__(self) -> bool:
        return False


NOTHING: Any = _Nothing()


# A catalog of ten thousand templates names the same few dozen paths over and over.
@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    """Return the keys of a path."""
    keys, key = [], ""
    for token in _TOKEN.finditer(path):
        escaped, dot, plain = token.groups()
        if dot:
            keys.append(key)
            key = ""
        else:
            key += escaped or plain
    return (*keys, key)


def join_path(keys: Iterable[str]) -> str:
    """Return the path of some keys: the inverse of ``split_path``."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def finder(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    """
    Return a function that finds the value at a path in data without a declared shape; None if missing or null.

    A key spelled with the dot wins over two keys: ``course.org`` finds ``{"course.org": 1}`` before
    ``{"course": {"org": 2}}``. One and two keys, which nearly all paths have, are written out because this is the
    innermost part of evaluating criteria.
    """
    if len(keys) == 1:
        return _find_one(keys[0])
    if len(keys) == 2:
        return _find_two(*keys)

    return _find_many(keys)


def _find_many(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    # At each level: the keys with dots that would win there, and the plain key.
    levels = [
        (tuple(".".join(keys[start:stop]) for stop in range(start + 2, len(keys) + 1)), keys[start])
        for start in range(len(keys))
    ]

    def find(data: Any) -> Any:
        value = data
        for dotted, key in levels:
            if not isinstance(value, dict):
                return None
            for longer in dotted:
                if longer in value:
                    found = _search(data, keys)
                    return None if found is NOTHING else found
            value = value.get(key)
        return value

    return find


def _find_one(key: str) -> Callable[[Any], Any]:
    def find(data: Any) -> Any:
        return data.get(key) if isinstance(data, dict) else None

    return find


def _find_two(first: str, second: str) -> Callable[[Any], Any]:
    dotted = f"{first}.{second}"

    def find(data: Any) -> Any:
        if not isinstance(data, dict):
            return None
        if dotted in data:
            return data[dotted]
        inner = data.get(first)
        return inner.get(second) if isinstance(inner, dict) else None

    return find


def _search(data: Any, keys: tuple[str, ...]) -> Any:
    """The value at the keys, which may be None; NOTHING if there is no such key."""
    if not keys:
        return data
    if not isinstance(data, dict):
        return NOTHING
    for taken in range(len(keys), 0, -1):
        key = ".".join(keys[:taken])
        if key in data and (found := _search(data[key], keys[taken:])) is not NOTHING:
            return found
    return NOTHING


def walker(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return a function that finds the value at a path; NOTHING if it is missing or null."""

    def walk(data: Any) -> Any:
        for key in keys:
            if not isinstance(data, dict):
                return NOTHING
            data = data.get(key)
        return NOTHING if data is None else data

    return walk
