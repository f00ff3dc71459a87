"""Reading providers' answers: headers, error texts, links."""

from __future__ import annotations

import json

import pytest

from badges.issuers.answers import HIDDEN, error_text, hidden, next_link


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"data": {"message": "No", "errors": [{"attribute": "issued_at", "messages": ["bad", "old"]}]}},
         "No; issued_at: bad; issued_at: old"),
        ({"message": "No", "errors": {"issued_at": ["is bad"], "name": ["is long"]}},
         "No; issued_at: is bad; name: is long"),
        ({"errors": ["issued_at is bad"]}, "issued_at is bad"),
        ({"data": {"errors": "all is bad"}}, "all is bad"),
        ({"error": "No"}, "No"),
        ({"error": "invalid_client", "error_description": "unknown\n client"}, "unknown client; invalid_client"),
        ("No", "No"),
        (["No", "No", "Never"], "No; Never"),  # nothing twice
        ({"error": "No\x00thing \ud800\u202eelse"}, "No thing else"),  # what no database stores
        ({"code": 17, "data": None, "message": " "}, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_an_error_answer_is_read_in_whatever_shape_it_comes(answer: object, text: str) -> None:
    assert error_text(json.dumps(answer).encode(), "application/json") == text


def test_plain_text_is_quoted_and_a_page_of_a_proxy_is_not() -> None:
    assert error_text(b"Slow  down\n", "text/plain; charset=utf-8") == "Slow down"
    assert error_text(b"<h1>Bad gateway</h1>", "text/html") == ""
    assert error_text(b'{"message": "cut o', "application/json") == ""
    assert error_text(b"[" * 100_000, "application/json") == ""


def test_a_long_error_is_cut_after_the_names_were_hidden() -> None:
    text = error_text(json.dumps({"error": "a" * 195 + " Lovelace"}).encode(), "", private=["Lovelace"])
    assert len(text) <= 200
    assert "Lov" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recipient_email ada@example.com is taken", f"recipient_email {HIDDEN} is taken"),
        ("<other.person+tag@example.org>", f"<{HIDDEN}>"),  # an address that is not the learner's own
        ("ADA LOVELACE has it", f"{HIDDEN} has it"),
        ("Li is invalid: reliable", f"{HIDDEN} is invalid: reliable"),  # not inside of words
        ("王小明已有徽章", f"{HIDDEN}已有徽章"),  # a script without spaces
        ("a - b", "a - b"),  # the last name of a single name is no secret
    ],
)
def test_what_was_sent_about_the_learner_is_hidden(text: str, expected: str) -> None:
    assert hidden(text, ["Ada Lovelace", "Li", "王小明", "-"]) == expected


@pytest.mark.parametrize(("link", "expected"), [(None, None), ("", None), ("/v1/things?page=2", "/v1/things?page=2")])
def test_the_link_to_the_next_page_is_in_the_metadata(link: str | None, expected: str | None) -> None:
    assert next_link({"metadata": {"next_page_url": link}}) == expected


@pytest.mark.parametrize("answer", [None, [], {"metadata": []}, {"metadata": None}, {"data": []}])
def test_an_answer_without_metadata_is_the_last_page(answer: object) -> None:
    assert next_link(answer) is None
