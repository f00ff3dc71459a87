"""The examples of the reference page: each parses, reads as is printed, and is earned as its comments say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from badges.rules import Condition, Event, criteria_schema, describe, operator_names, parse_criteria
from badges.rules.criteria.parsing import ENTRY_NAMES
from badges.rules.errors import CriteriaErrorKind
from tests.rules.criteria.documents import NOW

PAGE = (Path(__file__).parents[3] / "docs/references/criteria.rst").read_text()
ON_TIME = Condition(
    "on-time", lambda event, history, params: event.payload["days"] <= params["days"], ["assignment.submitted"]
)


def examples():
    """Document, sentence, and the comments below each example."""
    for block in re.split(r"^\.\. code-block:: json\n", PAGE, flags=re.MULTILINE)[1:]:
        code, rest = re.match(r"\n((?:   .*\n|\n)+)((?:.|\n)*)", block).groups()
        sentence = re.match(r"\*(earned when: [^*]+)\*", rest)
        comments = dict(re.findall(r"^\.\. ([a-z ]+): ([\[{].*)$", rest, flags=re.MULTILINE))
        yield json.loads(code), " ".join(sentence[1].split()), {key: json.loads(text) for key, text in comments.items()}


def parse(document):
    return parse_criteria(document, conditions=lambda slug: ON_TIME if slug == "on-time" else None)


def history(events):
    return [Event(str(number), *content) for number, content in enumerate(events)]


@pytest.mark.parametrize(("document", "sentence", "comments"), list(examples()))
def test_an_example_reads_as_is_printed_and_is_earned_as_is_said(document, sentence, comments):
    criteria = parse(document)
    figures = comments.get("figures", {})

    assert describe(criteria) == sentence
    assert criteria.evaluate(history(comments["earned with"]), now=NOW, figures=figures).satisfied
    if "not earned with figures" in comments:
        assert not criteria.evaluate([], now=NOW, figures=comments["not earned with figures"]).satisfied
    else:
        assert not criteria.evaluate(history(comments["not earned with"]), now=NOW, figures=figures).satisfied
    jsonschema.validate(document, criteria_schema(), cls=jsonschema.Draft202012Validator)


def test_the_page_has_an_example_for_every_entry_and_operator():
    shown = json.dumps([document for document, _, _ in examples()])

    for name in ENTRY_NAMES:
        assert f'"{name}"' in shown, name
    for name in {*operator_names(), "eventCount"} - {"neq"}:  # another word for ne
        assert f'"${name}"' in shown, name


def test_the_page_names_every_kind_of_error():
    (table,) = re.findall(r"^Errors\n-+\n((?:.|\n)*?)\n\S+.*\n-+\n", PAGE, flags=re.MULTILINE)

    assert re.findall(r"^   \* - ``(\w+)``$", table, flags=re.MULTILINE) == list(get_args(CriteriaErrorKind))
