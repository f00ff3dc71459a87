"""Event types of this site: saved as documents, noticed by every process, not changed under a template by accident."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from badges.catalog import event_types, own_event_types, packs, snapshot
from badges.catalog.api import save_template
from badges.catalog.documents import DocumentError
from badges.catalog.editing import Outcome
from badges.catalog.models import EventType
from badges.catalog.own_event_types import EventTypeInUseError
from badges.conf import PASSING_STATUS
from badges.exceptions import UnknownEventType
from badges.rules import Kind, RuleError
from tests.factories import (
    NOON,
    WORKSHOP,
    UserFactory,
    event_type_entry,
    make_event_type,
    make_template,
    template_entry,
    workshop_requirement,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def problems_of(**given: Any) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        own_event_types.save_document(event_type_entry(**given), now=NOON)
    assert not EventType.objects.exists()
    return {problem.path: problem.message for problem in caught.value.problems}


def changed_schema(**properties: Any) -> dict[str, Any]:
    schema = event_type_entry()["schema"]
    return {**schema, "properties": {**schema["properties"], **properties}}


def save(accept_broken: bool = False, **given: Any) -> own_event_types.EventTypeResult:
    return own_event_types.save_document(event_type_entry(**given), now=NOON, accept_broken=accept_broken)


def test_a_saved_event_type_is_one_that_rules_can_use():
    author = UserFactory()
    row = own_event_types.save_document(event_type_entry(), author=author, now=NOON).row
    assert (row.author, row.created_at, row.modified_at) == (author, NOON, NOON)
    definition = event_types.configured()[WORKSHOP]
    assert definition.key_paths() == [("user_id", Kind.INTEGER), ("workshop", Kind.TEXT), ("minutes", Kind.INTEGER)]
    assert definition.note("minutes") == "minutes"
    assert definition.note("workshop") == "such as knots"
    assert definition.compile("minutes", "gte", "60").value == 60
    with pytest.raises(RuleError, match="email is personal data"):
        definition.compile("email", "eq", "x")
    assert "email" not in definition.subject({"user_id": 1, "workshop": "x", "minutes": None, "email": "y"})


def test_a_document_is_stored_as_it_is_written_and_saving_it_again_changes_nothing():
    row = make_event_type(description="Made by hand: ünï")
    document = own_event_types.document_of(row)
    assert json.dumps(document["schema"]) == json.dumps(event_type_entry()["schema"])
    assert save(description="Made by hand: ünï").outcome is Outcome.UNCHANGED
    result = save(description="")
    assert result.outcome is Outcome.UPDATED
    assert [change.path for change in result.changes] == ["description"]


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"name": PASSING_STATUS}, "name", "those of Open edX"),
        ({"name": "org.openedx.learning.new.thing.v1"}, "name", "those of Open edX"),
        ({"name": "a b"}, "name", "without spaces"),
        ({"name": "a\u00a0b"}, "name", "without spaces"),
        ({"name": ""}, "name", "such as com.example"),
        ({"name": "x" * 256}, "name", "1 to 255 characters"),
        ({"schema": []}, "schema", "a JSON Schema"),
        (
            {"schema": {"type": "object", "properties": {"a": {"type": "nothing"}}}},
            "schema.properties.a.type",
            "string",
        ),
        ({"learner_path": "person"}, "learner_path", "the event has no person"),
        ({"learner_path": "workshop"}, "learner_path", "needs integer"),
        ({"learner_path": "external::workshop"}, "learner_path", "needs an issuer"),
        ({"titel": "x"}, "titel", "write title"),
        ({"is_active": "yes"}, "is_active", "true or false"),
        ({"description": "\0"}, "description", "without NUL"),
    ],
)
def test_what_cannot_be_saved_is_said_at_its_path(given, path, message):
    assert message in problems_of(**given)[path]


def test_a_name_that_a_package_defines_is_refused(acme):
    event_types.load_signals.cache_clear()
    from openedx_events.tooling import OpenEdxPublicSignal  # noqa: PLC0415

    __import__(acme)
    name = next(name for name in OpenEdxPublicSignal._mapping if name.startswith("com.acme"))
    assert "an installed package defines" in problems_of(name=name)["name"]


@pytest.mark.parametrize("path", ["username:workshop", "external:https://idp.example.org:8443/:workshop"])
def test_a_learner_may_be_named_by_text(path):
    make_event_type(learner_path=path)
    assert event_types.get(WORKSHOP).learner({"workshop": "knots"}) is not None


def test_another_process_notices_a_change_with_the_statement_that_it_makes_anyway():
    before = snapshot.current()

    def in_another_process() -> None:
        # What only rows and numbers tell: this thread changes them without the help of this process's caches.
        row = EventType(name=WORKSHOP, schema=json.dumps(event_type_entry()["schema"]), learner_path="user_id")
        row.created_at = row.modified_at = NOON
        row.save()
        connection.close()

    other = threading.Thread(target=in_another_process)
    other.start()
    other.join()
    assert WORKSHOP not in event_types.configured()
    after = snapshot.current()
    assert WORKSHOP in after.definitions
    assert after.definitions[PASSING_STATUS] is before.definitions[PASSING_STATUS]
    with CaptureQueriesContext(connection) as queries:
        assert snapshot.current() is after
    assert len(queries) == 1


def test_an_unknown_type_is_looked_for_in_the_database_once_more_before_it_is_refused():
    save()
    event_types.at(0)  # as in a process that has not seen the row
    assert WORKSHOP not in event_types.configured()
    assert event_types.get(WORKSHOP).type == WORKSHOP


def test_what_was_saved_in_a_transaction_that_rolled_back_is_forgotten():
    with transaction.atomic():
        save()
        assert WORKSHOP in event_types.configured()
        transaction.set_rollback(True)
    assert WORKSHOP not in snapshot.current().definitions


def test_without_event_types_of_ones_own_no_statement_asks_for_them():
    with CaptureQueriesContext(connection) as queries:
        event_types.get(PASSING_STATUS)
    assert not queries
    with CaptureQueriesContext(connection) as queries:
        event_types.refreshed()
    assert len(queries) == 1


def test_a_row_that_cannot_be_used_is_left_out_and_the_others_are_not(caplog):
    make_event_type()
    make_event_type(name="com.example.other.v1")
    EventType.objects.filter(name=WORKSHOP).update(schema="{")
    EventType.objects.get(name="com.example.other.v1").save()
    assert list(event_types.refreshed()) == ["com.example.other.v1", *event_types.configured_signals()]
    assert f"The event type {WORKSHOP} is left out" in caplog.text


def test_an_inactive_type_is_known_and_not_configured():
    save(is_active=False)
    assert event_types.find(WORKSHOP) is None
    assert event_types.is_known(WORKSHOP)
    with pytest.raises(UnknownEventType, match="make it active again"):
        event_types.get(WORKSHOP)
    with pytest.raises(DocumentError, match="is not active"):
        save_template(template_entry(requirements=[workshop_requirement()]), now=NOON)


def test_a_change_that_breaks_an_active_template_is_refused_until_it_is_accepted():
    save()
    make_template(slug="sailor", requirements=[workshop_requirement()])
    make_template(slug="draft", is_active=False, requirements=[workshop_requirement()])
    make_template(slug="other", requirements=[workshop_requirement(user_id=1)])
    schema = changed_schema(minutes={"type": "boolean"})
    with pytest.raises(EventTypeInUseError) as caught:
        save(schema=schema)
    assert [template.slug for template in caught.value.templates] == ["sailor"]
    assert "requirements[0].rules[0].operator" in str(caught.value)
    assert event_types.get(WORKSHOP).shape.fields["minutes"].kind is Kind.INTEGER

    save(schema=schema, accept_broken=True)
    slugs = {template.slug for template in snapshot.current().compiled.values() if template}
    assert slugs == {"other"}


@pytest.mark.parametrize("change", [{"is_active": False}, {"schema": changed_schema(minutes={"x-personal": True})}])
def test_what_is_switched_off_or_becomes_personal_breaks_templates_too(change):
    save()
    make_template(slug="sailor", requirements=[workshop_requirement()])
    with pytest.raises(EventTypeInUseError, match="sailor"):
        save(**change)


def test_a_type_in_a_criteria_document_is_in_use():
    save()
    make_template(slug="sailor", requirements=[], criteria={"event": WORKSHOP, "criteria": {"minutes": {"$gte": 60}}})
    with pytest.raises(EventTypeInUseError, match="sailor"):
        own_event_types.delete(EventType.objects.get())


def test_a_type_in_use_is_not_deleted_and_a_name_that_only_looks_like_it_is_not_its_use():
    save()
    template = make_template(slug="sailor", description=WORKSHOP, requirements=[workshop_requirement()])
    make_template(slug="reader", description=WORKSHOP)
    row = EventType.objects.get()
    with pytest.raises(EventTypeInUseError) as caught:
        own_event_types.delete(row)
    assert [used.slug for used in caught.value.templates] == ["sailor"]
    save_template(template_entry(slug="sailor", requirements=[workshop_requirement()], is_active=False), now=NOON)
    assert template.slug == "sailor"
    own_event_types.delete(row)
    assert not EventType.objects.exists()
    assert WORKSHOP not in event_types.configured()


def test_a_pack_carries_event_types_before_the_templates_that_use_them():
    pack = {
        "pack": 1,
        "event_types": [event_type_entry()],
        "templates": [template_entry(slug="sailor", requirements=[workshop_requirement()])],
    }
    assert [item.outcome for item in packs.plan(pack)] == [Outcome.CREATED] * 2
    assert not EventType.objects.exists()
    packs.apply(pack, now=NOON)
    exported = packs.export()
    assert [entry["name"] for entry in exported["event_types"]] == [WORKSHOP]
    assert [item.outcome for item in packs.apply(exported, now=NOON)] == [Outcome.UNCHANGED] * 2


def test_a_pack_that_changes_a_type_and_its_template_together_breaks_nothing():
    save()
    make_template(slug="sailor", requirements=[workshop_requirement()])
    changed = workshop_requirement()
    changed["rules"] = [{"path": "minutes", "operator": "eq", "value": True}]
    pack = {
        "pack": 1,
        "event_types": [event_type_entry(schema=changed_schema(minutes={"type": "boolean"}))],
        "templates": [template_entry(slug="sailor", requirements=[changed])],
    }
    packs.apply(pack, now=NOON)
    assert [template.slug for template in snapshot.current().compiled.values() if template] == ["sailor"]


def test_a_pack_with_any_problem_changes_no_event_type():
    pack = {
        "pack": 1,
        "event_types": [event_type_entry(), event_type_entry(title="again"), {"name": 5}],
        "templates": [template_entry(requirements=[workshop_requirement(nothing=1)])],
    }
    with pytest.raises(DocumentError) as caught:
        packs.apply(pack, now=NOON)
    paths = {problem.path for problem in caught.value.problems}
    assert {"event_types[1].name", "event_types[2].name", "event_types[2].schema"} <= paths
    assert "templates[0].requirements[0].rules[0].path" in paths
    assert not EventType.objects.exists()
