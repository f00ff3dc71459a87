"""
Texts for people, in English unless the caller translates.

This package imports no translation framework. The caller passes an object with ``gettext`` and ``ngettext``; the module
``django.utils.translation`` is one. The texts are written as literal arguments of these two names, so that the usual
tools find them.
"""

from __future__ import annotations

import json
from typing import Any, Protocol


class Catalog(Protocol):
    """What translates: the module ``django.utils.translation``, a ``gettext.GNUTranslations``, or the like."""

    def gettext(self, message: str, /) -> str:
        """Return the translation of a text."""

    def ngettext(self, singular: str, plural: str, number: int, /) -> str:
        """Return the translation of a text for a number."""


class _English:
    def gettext(self, message: str, /) -> str:
        return message

    def ngettext(self, singular: str, plural: str, number: int, /) -> str:
        return singular if number == 1 else plural


class Translations:
    """Texts in the language of a catalog; in English without one."""

    def __init__(self, catalog: Catalog | None = None):
        self._catalog: Catalog = catalog or _English()

    def gettext(self, message: str) -> str:
        """Return the translation of a text."""
        return self._catalog.gettext(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Return the translation of a text for a number."""
        return self._catalog.ngettext(singular, plural, number)

    def operator(self, name: str) -> str:
        """Return the words for an operator, as they stand between a field and a value."""
        gettext = self.gettext
        words = {
            "$eq": gettext("exactly"),
            "$ne": gettext("not"),
            "$neq": gettext("not"),
            "$gt": gettext("more than"),
            "$gte": gettext("at least"),
            "$lt": gettext("less than"),
            "$lte": gettext("at most"),
            "$between": gettext("between"),
            "$in": gettext("one of"),
            "$nin": gettext("none of"),
            "$contains": gettext("containing"),
            "$startsWith": gettext("beginning with"),
            "$endsWith": gettext("ending with"),
            "$regex": gettext("matching"),
        }
        return words.get(name, name.removeprefix("$"))


ENGLISH = Translations()

MAX_VALUE_CHARACTERS = 80


def json_value(value: Any) -> Any:
    """Return a value of an event if it is JSON, else an ellipsis: NaN, what is nested too deeply, and the like."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "…"
    return value


def value_text(value: Any) -> str:
    """Return a value for readers: text in single quotes, other JSON as it is; cut where it is long."""
    if isinstance(value, str):
        text = f"'{value}'"
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, RecursionError):  # a number with thousands of digits; data that is nested too deeply
            text = "…"
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 1] + "…"
