"""A change of any key of a template document is noticed, written, and leaves a revision."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from badges.catalog import validation
from badges.catalog.api import Document, Outcome, export_template, save_template
from badges.catalog.models import BadgeTemplate
from badges.catalog.structure import schema
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from tests.factories import NOON, credly_issuer, requirement, rule, template_entry

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def demand(**given: Any) -> Document:
    """Return a requirement with all its keys. Its rule is valid for each change below."""
    return requirement(**{"group": None, "description": "", "rules": [rule("is_passing", "exists", True)], **given})


# Another value for each key of the document below, by the part of the schema that the key belongs to.
OTHER: dict[str, dict[str, Any]] = {
    "template": {
        "name": "Spirou",
        "description": "red",
        "image_url": "https://example.org/red.png",
        "is_active": False,
        "award_once": True,
        "expiry": {"each_year": "06-30"},
        "issuers": [],
        "requirements": [demand(key="quite-different", rules=[]), demand(key="stays")],
        "penalties": [],
        "criteria": {"event": CCX_PASSING_STATUS},
    },
    "issuer": {"provider": "accredible", "organization": "org-8", "template": "tpl-8"},
    "requirement": {
        "key": "another",
        "event_type": CCX_PASSING_STATUS,
        "group": "alternatives",
        "description": "pass the course",
        "rules": [],
    },
    "penalty": {"event_type": CCX_PASSING_STATUS, "requirements": ["pass", "stays"], "rules": []},
    "rule": {"path": "course.course_key", "operator": "eq", "value": False},
}
# The keys that identify a template.
IDENTITY = {"slug", "uuid"}


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Document:
    """A template entry in which each part of the schema occurs; another provider is installed beside Credly."""
    monkeypatch.setattr(validation, "providers", lambda: ("accredible", "credly"))
    return template_entry(
        slug="fantasio",
        description="blue",
        expiry={"months": 18},
        image_url="https://example.org/blue.png",
        issuers=[credly_issuer("org-7", "tpl-7")],
        requirements=[demand(), demand(key="stays")],
        penalties=[
            {"event_type": PASSING_STATUS, "requirements": ["stays"], "rules": [rule("is_passing", "eq", False)]}
        ],
    )


def test_the_cases_below_cover_every_key_of_the_schema():
    keys = {part: set(definition["properties"]) for part, definition in schema()["$defs"].items()}
    keys["template"] -= IDENTITY
    del keys["eventType"]  # no part of a template

    assert {part: set(values) for part, values in OTHER.items()} == keys


@pytest.mark.parametrize(("part", "key"), [(part, key) for part, values in OTHER.items() for key in values])
def test_a_change_of_this_key_alone_is_saved_and_leaves_a_revision(entry: Document, part: str, key: str):
    save_template(entry, now=NOON)
    changed = copy.deepcopy(entry)
    where = {
        "template": changed,
        "issuer": changed["issuers"][0],
        "requirement": changed["requirements"][0],
        "penalty": changed["penalties"][0],
        "rule": changed["requirements"][0]["rules"][0],
    }[part]
    where[key] = OTHER[part][key]

    item = save_template(changed, now=NOON)

    assert item.outcome is Outcome.UPDATED
    assert item.changes
    template = BadgeTemplate.objects.get()
    older, newer = (json.loads(row.document) for row in template.revisions.order_by("number"))
    assert older != newer
    stored = export_template(template)
    assert {name: stored[name] for name in changed} == changed
    assert {name: newer[name] for name in changed} == changed
    assert save_template(changed, now=NOON).outcome is Outcome.UNCHANGED
