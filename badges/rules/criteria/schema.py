"""The JSON Schema of the language, which ships beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def criteria_schema() -> dict[str, Any]:
    """
    Return the JSON Schema (2020-12) of criteria documents.

    It knows our own operators. What a schema cannot say, the parser checks: limits of size and depth, the order of two
    bounds, time zones, regular expressions, days of the calendar, registered conditions, and which conditions an
    interval inside an interval may have.
    """
    text = files("badges.rules.criteria").joinpath("criteria.schema.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
