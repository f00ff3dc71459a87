"""Event types by REST: documents, with the checks of packs and the admin."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from badges.catalog import event_types
from badges.catalog.models import EventType
from tests.factories import WORKSHOP, event_type_entry, make_event_type, make_template, workshop_requirement
from tests.rest_api.schema import assert_as_promised

pytestmark = pytest.mark.django_db
LIST = "/api/badges/v1/event-types/"
ONE = f"{LIST}{WORKSHOP}/"
ONE_IN_SCHEMA = f"{LIST}{{name}}/"


@pytest.fixture
def editor(staff_client: Callable[..., Any]) -> Any:
    verbs = ("view", "add", "change", "delete")
    return staff_client(*(f"{verb}_eventtype" for verb in verbs))


def put(client: Any, document: Any, *, address: str = ONE, **headers: str) -> Any:
    headers = headers or {"if-match": "*"}
    return client.put(address, json.dumps(document), content_type="application/json", headers=headers)


def post(client: Any, document: Any) -> Any:
    return client.post(LIST, json.dumps(document), content_type="application/json")


def test_an_event_type_is_created_read_listed_changed_and_deleted(editor):
    created = post(editor, event_type_entry())
    assert created.status_code == 201
    assert created["Location"].endswith(ONE)
    shown = assert_as_promised(editor.get(ONE), ONE_IN_SCHEMA, "get")
    assert shown["document"]["schema"] == event_type_entry()["schema"]
    assert {"path": "minutes", "kind": "integer", "note": "minutes"} in shown["key_paths"]
    assert [row["name"] for row in assert_as_promised(editor.get(LIST), LIST, "get")["results"]] == [WORKSHOP]

    changed = put(editor, shown["document"] | {"title": "Other"}, **{"if-match": created["ETag"]})
    assert changed.status_code == 200
    assert EventType.objects.get().title == "Other"
    assert put(editor, event_type_entry(), **{"if-match": created["ETag"]}).status_code == 412
    assert put(editor, event_type_entry(), accept="*/*").status_code == 428
    assert editor.delete(ONE).status_code == 204
    assert editor.get(ONE).status_code == 404
    assert put(editor, event_type_entry()).status_code == 404


def test_a_second_one_of_the_name_and_a_change_of_the_name_are_refused(editor):
    make_event_type()
    assert post(editor, event_type_entry()).status_code == 409
    response = put(editor, event_type_entry(name="com.example.other.v1"))
    assert response.json()["errors"][0]["field"] == "name"


@pytest.mark.parametrize("document", [None, [], 5, {}, {"name": 5, "schema": 5, "learner_path": 5}])
def test_what_is_no_document_is_refused_with_paths(editor, document):
    response = post(editor, document)
    assert response.status_code == 400
    assert response.json()["errors"]


def test_problems_of_the_schema_are_at_their_paths(editor):
    schema = {"type": "object", "properties": {"a": {"type": "nothing"}, "b": {"pattern": "("}}}
    response = post(editor, event_type_entry(schema=schema))
    fields = {error["field"] for error in response.json()["errors"]}
    assert fields == {"schema.properties.a.type", "schema.properties.b.pattern"}


def test_a_change_that_breaks_a_template_needs_to_be_accepted_and_one_in_use_is_not_deleted(editor):
    make_event_type()
    make_template(slug="sailor", requirements=[workshop_requirement()])
    off = event_type_entry(is_active=False)
    refused = put(editor, off)
    assert refused.status_code == 409
    assert "sailor" in refused.json()["detail"]
    assert editor.delete(ONE).status_code == 409
    assert put(editor, off, address=f"{ONE}?accept_broken=true").status_code == 200
    assert WORKSHOP not in event_types.configured()
    assert put(editor, off, address=f"{ONE}?accept_broken=yes").status_code == 400


def test_each_verb_needs_its_permission(staff_client):
    make_event_type()
    viewer = staff_client("view_eventtype")
    assert viewer.get(LIST).status_code == viewer.get(ONE).status_code == 200
    codes = [post(viewer, event_type_entry()), put(viewer, event_type_entry()), viewer.delete(ONE)]
    assert [response.status_code for response in codes] == [403] * 3
    assert staff_client("send_eventtype").get(LIST).status_code == 403


@pytest.mark.parametrize("name", ["nothing", "a/b", "%00", "x" * 300, "ü"])
def test_a_name_that_is_not_there_is_not_found(editor, name):
    assert editor.get(f"{LIST}{name}/").status_code == 404
