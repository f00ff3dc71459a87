"""Event types on their admin page: problems at their fields, and no template broken by accident."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from badges.catalog import event_types
from badges.catalog.models import EventType
from badges.rules import Kind
from tests.factories import WORKSHOP, event_type_entry, make_event_type, make_template, workshop_requirement

LIST = "/admin/lms_badges/eventtype/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def editor(client: Any, staff: Callable[..., Any]) -> Any:
    verbs = ("view", "add", "change", "delete")
    client.force_login(staff(*(f"{verb}_eventtype" for verb in verbs), "view_badgetemplate", "change_badgetemplate"))
    return client


def fields(**changed: Any) -> dict[str, Any]:
    entry = event_type_entry() | {"description": "", "is_active": "on"} | changed
    return {**entry, "schema": changed.get("schema", json.dumps(entry["schema"]))}


def with_minutes(**schema: Any) -> str:
    whole = event_type_entry()["schema"]
    return json.dumps({**whole, "properties": {**whole["properties"], "minutes": schema}})


def address(row: EventType) -> str:
    return f"{LIST}{row.pk}/change/"


def test_an_event_type_is_added_and_shown_with_its_key_paths_and_uses(editor):
    assert "x-personal" in editor.get(f"{LIST}add/").content.decode()
    response = editor.post(f"{LIST}add/", fields())
    assert response.status_code == 302, response.context["errors"]
    row = EventType.objects.get()
    assert row.author.is_staff
    make_template(slug="sailor", name="Sailor", requirements=[workshop_requirement()])
    page = editor.get(address(row)).content.decode()
    assert "<code>minutes</code>: whole number, minutes" in page
    assert "<code>workshop</code>: text, such as knots" in page
    assert "<code>email</code>" not in page
    assert "Sailor</a>" in page
    assert WORKSHOP in editor.get(LIST).content.decode()


def test_the_page_of_a_template_offers_it(editor):
    make_event_type()
    template = make_template(slug="sailor", requirements=[workshop_requirement()])
    page = editor.get(f"/admin/lms_badges/badgetemplate/{template.pk}/change/").content.decode()
    assert WORKSHOP in page
    assert "whole number, minutes" in page


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"name": "org.openedx.x"}, "name", "those of Open edX"),
        ({"schema": "{"}, "schema", "not JSON"),
        ({"schema": with_minutes(type="nothing")}, "schema", "properties.minutes.type: write one of"),
        ({"schema": "[" * 50_000}, "schema", "too many levels"),
        ({"learner_path": "person"}, "learner_path", "the event has no person"),
    ],
)
def test_problems_are_shown_at_their_fields(editor, change, field, message):
    response = editor.post(f"{LIST}add/", fields(**change))
    assert message in str(response.context["adminform"].form.errors[field])
    assert not EventType.objects.exists()


def test_a_name_that_is_taken_is_refused(editor):
    make_event_type(title="first")
    assert editor.post(f"{LIST}add/", fields()).status_code == 200
    assert EventType.objects.get().title == "first"


def test_a_change_that_breaks_a_template_says_so_before_it_is_saved(editor):
    row = make_event_type()
    make_template(slug="sailor", requirements=[workshop_requirement()])
    change = fields(schema=with_minutes(type="boolean"))
    page = editor.post(address(row), change)
    assert "sailor: requirements[0].rules[0]" in page.content.decode()
    assert event_types.get(WORKSHOP).shape.fields["minutes"].kind is Kind.INTEGER
    assert editor.post(address(row), {**change, "accept_broken": "on"}).status_code == 302
    assert event_types.get(WORKSHOP).shape.fields["minutes"].kind is Kind.BOOLEAN


def test_an_event_type_in_use_is_not_deleted_and_the_page_lists_its_templates(editor):
    row = make_event_type()
    make_template(slug="sailor", requirements=[workshop_requirement()])
    page = editor.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    assert "active template sailor" in page.content.decode()
    editor.post(LIST, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert EventType.objects.exists()


def test_an_unused_event_type_is_deleted(editor):
    row = make_event_type()
    assert editor.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not EventType.objects.exists()
    assert WORKSHOP not in event_types.configured()


def test_who_may_only_view_changes_nothing(client, staff):
    row = make_event_type()
    client.force_login(staff("view_eventtype"))
    assert client.get(address(row)).status_code == 200
    assert client.post(address(row), fields(title="other")).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
