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
    """What is found where nothing is: no such key, null, or a value of another type than declared."""

    def __repr__(self) -> str:
        return "NOTHING"

    def __bool__(self) -> bool:
        return False


NOTHING: Any = _Nothing()


# A catalog of ten thousand templates names the same few dozen paths over and over.
@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    """Take a path apart into its keys."""
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
    """Spell keys as one path: the inverse of ``split_path``."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def walker(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    """A function that finds the value at a path; NOTHING if it is missing or null."""

    def walk(data: Any) -> Any:
        for key in keys:
            if not isinstance(data, dict):
                return NOTHING
            data = data.get(key)
        return NOTHING if data is None else data

    return walk
