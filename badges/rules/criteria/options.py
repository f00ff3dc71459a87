"""Reading the options of an entry: every value has a path, and every mistake says what to write instead."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any, NoReturn

from badges.rules.criteria.calendar import find_zone, near_zones
from badges.rules.criteria.pointers import below
from badges.rules.errors import CriteriaError
from badges.rules.times import instant

COMMENT = "$comment"

logger = logging.getLogger("badges.rules.criteria")


def refuse(path: str, message: str) -> NoReturn:
    """Raise CriteriaError of the kind invalid_criteria."""
    raise CriteriaError("invalid_criteria", path, message)


def refuse_operator(path: str, message: str) -> NoReturn:
    """Raise CriteriaError of the kind unknown_operator."""
    logger.debug("Unsupported operator at %s", path)
    raise CriteriaError("unknown_operator", path, message)


def members(value: Any, path: str, expected: str) -> dict[str, Any]:
    """Return an object's members without its comment. Raises CriteriaError if it is no object."""
    if not isinstance(value, dict):
        refuse(path, f"write {expected}")
    return {key: item for key, item in value.items() if key != COMMENT}


def near(word: str, known: Iterable[str]) -> str:
    """Return the known words that somebody may have meant, or all of them, as part of a sentence."""
    known = list(known)
    by_fold = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_fold, n=2)
    return " or ".join(by_fold[name] for name in close) or ", ".join(known)


def is_number(value: Any) -> bool:
    """Return whether a value is a JSON number. A boolean is an int to Python only."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def whole(value: Any) -> int | None:
    """Return a JSON number that is whole as an int, None for all else. 5.0 is the integer 5 in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Options:
    """
    The options of one entry. The names that are allowed are given; a name that is not among them is an error.

    Every method raises CriteriaError of the kind invalid_criteria for a value that cannot be meant.
    """

    def __init__(self, value: Any, path: str, owner: str, allowed: Collection[str]):
        self.path = path
        self.owner = owner
        self._values = members(value, path, f"an object with the options of {owner}")
        for name in self._values:
            if name not in allowed:
                message = f"{owner} has no option {name!r}; write {near(name, allowed)}"
                (refuse_operator if name.startswith("$") else refuse)(below(path, name), message)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def where(self, name: str) -> str:
        """Return the path of an option."""
        return below(self.path, name)

    def value(self, name: str) -> Any:
        """Return an option that must be there."""
        if name not in self._values:
            refuse(self.path, f"{self.owner} needs {name!r}; add it")
        return self._values[name]

    def text(self, name: str) -> str:
        """Return a text that must be there and not be empty."""
        value = self.value(name)
        if not isinstance(value, str) or not value:
            refuse(self.where(name), f"write a text that is not empty for {name}")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str:
        """Return one of some words."""
        if default is not None and name not in self:
            return default
        value = self.value(name)
        if not isinstance(value, str) or value not in allowed:
            refuse(self.where(name), f"write one of {', '.join(allowed)} for {name}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            refuse(self.where(name), f"write true or false for {name}")
        return value

    def number(self, name: str, default: int | float | None = None, *, above_zero: bool = False) -> int | float:
        """Return a number that is not negative."""
        value = self.value(name) if default is None else self._values.get(name, default)
        if not is_number(value) or value < 0 or (above_zero and value == 0):
            refuse(self.where(name), f"write a number {'above 0' if above_zero else 'from 0'} for {name}")
        return value  # type: ignore[no-any-return]

    def integer(self, name: str, default: int, minimum: int) -> int:
        """Return a whole number that is not too small."""
        value = whole(self._values.get(name, default))
        if value is None or value < minimum:
            refuse(self.where(name), f"write a whole number from {minimum} for {name}")
        return value

    def moment(self, name: str) -> datetime | None:
        """Return a point in time, None if it is not given."""
        if name not in self:
            return None
        try:
            value = self.value(name)
            return instant(value if isinstance(value, str) else None)
        except ValueError as error:
            refuse(self.where(name), f"write {error} for {name}")

    def zone(self) -> tzinfo:
        """Return the time zone of the option ``timezone``; UTC if it is not given."""
        if "timezone" not in self:
            return UTC
        name = self.text("timezone")
        found = find_zone(name)
        if found is None:
            close = " or ".join(near_zones(name)) or "one such as Europe/Berlin or UTC"
            refuse(self.where("timezone"), f"there is no time zone {name!r} in the IANA list; write {close}")
        return found
