"""What counts as a name that somebody can read."""

from __future__ import annotations

import pytest

from badges.common.person_names import readable_name

ZERO_WIDTH, BRAILLE, FILLER, MARK, ORDER = "\u200b", "\u2800", "\u3164", "\u0301", "\ufeff\u200e"
JOINED = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


@pytest.mark.parametrize(
    "name",
    [
        "",
        None,
        "  \t\u00a0\u3000",
        ZERO_WIDTH,
        BRAILLE,
        FILLER,
        MARK,
        ORDER,
        f"{BRAILLE} {FILLER}",
        "\0",
        "\u1160\uffa0",
    ],
)
def test_invisible_signs_are_no_name(name: str | None) -> None:
    assert readable_name(name) == ""


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("Ada  Lovelace ", "Ada Lovelace"),
        (f"Ada {FILLER}", "Ada"),
        (f"{ZERO_WIDTH} Ada\u00a0Lovelace {BRAILLE}", "Ada Lovelace"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),  # a joiner inside a word stays
        ("Zoe\u0308", "Zoe\u0308"),
        ("\u738b\u5c0f\u660e", "\u738b\u5c0f\u660e"),
        ("4\u2122", "4\u2122"),
    ],
)
def test_the_words_of_a_name_stay_as_they_are(name: str, readable: str) -> None:
    assert readable_name(name) == readable
