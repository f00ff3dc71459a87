"""Verification codes."""

from __future__ import annotations

import math

import pytest

from credentials_config.issuing.codes import ALPHABET, LENGTH, new_code, normalized


def test_a_code_is_beyond_guessing_and_short_enough_to_type() -> None:
    assert LENGTH * math.log2(len(ALPHABET)) >= 80
    assert LENGTH <= 20
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert {char for code in codes for char in code} == set(ALPHABET)


def test_no_two_characters_look_alike() -> None:
    assert set(ALPHABET).isdisjoint("ILOU")


@pytest.mark.parametrize(
    "typed",
    [
        "ABCDEFGH12340000",
        "abcdefgh12340000",
        " abcd-efgh-1234-0000 ",
        "ABCD EFGH I2E4OOOO".replace("E4", "34"),
        "ABCDEFGHL234OOOO",
        "ABCD\u2011EFGH\u20131234\u20140000",  # dashes of word processors
        "ABCD\u00a0EFGH\u200b1234\r\n0000.",  # copied out of a document
        "ＡＢＣＤＥＦＧＨ１２３４００００",
    ],
)
def test_what_people_type_is_understood(typed: str) -> None:
    assert normalized(typed) == "ABCDEFGH12340000"


@pytest.mark.parametrize("typed", ["", "ABC", "U" * 16, "A" * 17, "é" * 16, "'; DROP TABLE", "\0" * 16])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert normalized(typed) is None
