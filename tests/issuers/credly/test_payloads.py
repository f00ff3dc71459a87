"""Translation between Credly's terms and ours."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from badges.issuers.credly.payloads import badge_from, badges_from, names, time_text

BADGE = uuid.UUID("5d1f0a36-4a3c-4f1a-8c39-0f3a1c0b7e11")
DESCRIBED: dict[str, Any] = {
    "id": str(BADGE),
    "state": "accepted",
    "issued_at": "2024-02-29T23:59:58.000Z",
    "issuer_earner_id": "earner-7",
    "badge_template": {"id": "template-3", "name": "Algebra"},
    "badge_url": "https://credly.example/badges/5",
}


@pytest.mark.parametrize(
    ("full_name", "first", "last"),
    [
        ("Ada Lovelace", "Ada", "Lovelace"),
        ("  Ada   Augusta\tKing ", "Ada Augusta", "King"),
        ("محمد بن موسى الخوارزمي", "محمد بن موسى", "الخوارزمي"),
        ("王小明", "王小明", "-"),
        ("王\u3000小明", "王", "小明"),  # the space of Chinese typography
        ("Ada\x00Lovelace\n", "Ada", "Lovelace"),
        ("می\u200cخواهم پارسی", "می\u200cخواهم", "پارسی"),  # a joiner is a letter's business
        ("Plato", "Plato", "-"),
        ("", "", "-"),
    ],
)
def test_the_last_word_is_the_last_name(full_name: str, first: str, last: str) -> None:
    assert names(full_name, single_name_last="-") == (first, last)


def test_times_are_told_in_utc_as_in_credlys_examples() -> None:
    moment = dt.datetime(2024, 3, 1, 5, 29, 58, 999999, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert time_text(moment) == "2024-02-29 23:59:58 +0000"


def test_a_badge_is_read() -> None:
    badge = badge_from(DESCRIBED)
    assert (badge.id, badge.state, badge.earner, badge.template) == (BADGE, "accepted", "earner-7", "template-3")
    assert badge.issued_at == dt.datetime(2024, 2, 29, 23, 59, 58, tzinfo=dt.UTC)
    assert badge.url == "https://credly.example/badges/5"


@pytest.mark.parametrize("described", [None, [], "badge", {}, {"id": None}, {"id": "../1"}, {"id": 17}])
def test_what_names_no_badge_is_an_error(described: Any) -> None:
    with pytest.raises(ValueError):
        badge_from(described)


@pytest.mark.parametrize("page", [None, [], {}, {"data": None}, {"data": {}}, {"data": [None, {"id": "x"}, 5]}])
def test_a_page_without_badges_has_none(page: Any) -> None:
    assert list(badges_from(page)) == []


@pytest.mark.parametrize(
    ("changes", "may_be"),
    [
        ({}, True),
        ({"state": "pending"}, True),
        ({"state": "rejected"}, True),  # issued, and not wanted by its earner
        ({"state": "revoked"}, False),
        ({"state": "replaced"}, False),
        ({"issuer_earner_id": "earner-8"}, False),
        ({"issuer_earner_id": None}, False),  # nobody says that it is hers
        ({"badge_template": {"id": "template-4"}}, False),
        ({"badge_template": None, "badge_template_id": "template-4"}, False),
        ({"badge_template": None, "badge_template_id": "template-3"}, True),
        ({"badge_template": None}, True),
    ],
)
def test_a_badge_found_is_taken_only_when_it_can_be_the_learners(changes: dict[str, Any], may_be: bool) -> None:
    badge = badge_from({**DESCRIBED, **changes})
    assert badge.may_be(earner="earner-7", template="template-3") is may_be


@pytest.mark.parametrize(
    ("key", "value", "attribute", "expected"),
    [
        ("badge_url", "javascript:alert(1)", "url", ""),
        ("badge_url", "https://credly.example/" + "x" * 500, "url", ""),
        ("badge_url", "https://[broken", "url", "https://[broken"),  # ugly, but it can be stored and shown
        ("badge_url", "https://credly.example/\x00", "url", ""),
        ("badge_url", None, "url", ""),
        ("issued_at", "yesterday", "issued_at", None),
        ("issued_at", None, "issued_at", None),
        ("state", None, "state", "pending"),
    ],
)
def test_oddities_of_an_answer_cost_a_detail_and_not_the_badge(
    key: str, value: Any, attribute: str, expected: Any
) -> None:
    badge = badge_from({**DESCRIBED, key: value})
    assert badge.id == BADGE
    assert getattr(badge, attribute) == expected
