"""The compiled catalog has the current requirements of each template, all of them or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges.catalog import event_types, snapshot
from badges.catalog.api import DocumentError, Requirement, compile_draft, export_template
from badges.catalog.compiling import Compiler
from badges.catalog.interests import NO_ROW, CompiledTemplate
from badges.catalog.models import BadgeRequirement, BadgeTemplate, EventType
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from tests.factories import WORKSHOP, make_event_type, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


def wanted(course: str, catalog: snapshot.Snapshot | None = None) -> set[str]:
    """Return the slugs of the templates that want somebody to pass a course."""
    event = {"is_passing": True, "course": {"course_key": course}}
    return {found.template.slug for found in (catalog or snapshot.current()).matching(PASSING_STATUS, event)}


def write_revision(slug: str, **changes: Any) -> None:
    """Write a new revision of a template behind the back of validation."""
    template = BadgeTemplate.objects.get(slug=slug)
    assert template.current_revision is not None
    document = json.loads(template.current_revision.document) | changes
    template.current_revision = template.revisions.create(
        number=template.current_revision.number + 1, document=json.dumps(document), is_active=document["is_active"]
    )
    template.save()


def test_a_template_of_which_one_rule_cannot_be_read_any_more_is_left_out_as_a_whole(caplog):
    make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    make_template("star", {"key": "a", "course": ALGEBRA})
    document = export_template(BadgeTemplate.objects.get(slug="both"))
    document["requirements"][1]["rules"][1]["path"] = "course.gone"
    write_revision("both", requirements=document["requirements"])

    assert wanted(ALGEBRA) == {"star"}
    assert wanted(BOTANY) == set()
    assert "is left out" in caplog.text


def test_what_changes_while_it_is_compiled_is_compiled_too():
    make_template("star", {"key": "a", "course": ALGEBRA})
    make_template("late", {"key": "a", "course": ALGEBRA}, is_active=False)

    def switch_on_once_templates_were_read(execute, sql, params, many, context):
        if "badgerequirement" in sql and not switched:
            switched.append(True)
            write_revision("late", is_active=True)
        return execute(sql, params, many, context)

    switched: list[bool] = []
    with connection.execute_wrapper(switch_on_once_templates_were_read):
        catalog = snapshot.current()

    # Not as it was before, and not switched on without its rules.
    assert switched
    assert wanted(ALGEBRA, catalog) == {"star", "late"}
    assert wanted(BOTANY, catalog) == set()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The slugs of the templates that are compiled for the catalog, in order."""
    seen: list[str] = []
    compile_text = Compiler.compile_text

    def counting(self: Compiler, text: str, **given: Any) -> CompiledTemplate:
        seen.append(json.loads(text)["slug"])
        return compile_text(self, text, **given)

    monkeypatch.setattr(Compiler, "compile_text", counting)
    return seen


def test_a_changed_event_type_compiles_the_templates_that_name_it_and_no_others(compiled: list[str]) -> None:
    make_event_type()
    make_event_type(name="com.example.other.v1")
    make_template("star", {"key": "a", "course": ALGEBRA})
    make_template("sailor", {"key": "a", "event_type": WORKSHOP, "course": None, "rules": []})
    make_template("both", {"key": "a", "course": ALGEBRA}, criteria={"$not": {"event": WORKSHOP}})
    make_template("other", criteria={"event": "com.example.other.v1"})
    make_template("every", criteria={"$sequence": {"sequence": [PASSING_STATUS], "requireStrict": True}})
    snapshot.current()
    compiled.clear()

    row = EventType.objects.get(name=WORKSHOP)
    schema = json.loads(row.schema)
    schema["properties"]["minutes"]["maximum"] = 600
    row.schema = json.dumps(schema)
    row.save()
    after = snapshot.current()
    assert sorted(compiled) == ["both", "every", "sailor"]
    assert after.definitions[WORKSHOP] is event_types.get(WORKSHOP)
    event = {"user_id": 41, "workshop": "knots", "minutes": 90}
    assert {each.template.slug for each in after.matching(WORKSHOP, event) if each.template} == {"sailor", "both"}
    compiled.clear()
    assert wanted(ALGEBRA) == {"star", "both", "every"}
    assert compiled == []


def test_a_template_that_was_left_out_is_compiled_again_when_its_event_type_is_there(compiled: list[str]) -> None:
    make_event_type()
    make_template("star", {"key": "a", "course": ALGEBRA})
    make_template("both", {"key": "a", "course": ALGEBRA}, criteria={"event": WORKSHOP})
    make_template("sailor", {"key": "a", "event_type": WORKSHOP, "course": None, "rules": []})
    row = EventType.objects.get(name=WORKSHOP)
    assert wanted(ALGEBRA) == {"star", "both"}

    for is_active, slugs in ((False, {"star"}), (True, {"star", "both"})):
        row.is_active = is_active
        row.save()
        compiled.clear()
        assert wanted(ALGEBRA) == slugs
        assert sorted(compiled) == ["both", "sailor"]


def test_saving_one_template_compiles_this_one_and_keeps_the_others():
    make_template("star", {"key": "a", "course": ALGEBRA})
    make_template("moon", {"key": "a", "course": ALGEBRA})
    make_template("gone", {"key": "a", "course": ALGEBRA})
    before = {found.slug: found for found in snapshot.current().compiled.values() if found}

    make_template("moon", {"key": "a", "course": BOTANY})
    make_template("gone", {"key": "a", "course": ALGEBRA}, is_active=False)
    with CaptureQueriesContext(connection) as queries:
        after = {found.slug: found for found in snapshot.current().compiled.values() if found}

    assert after["star"] is before["star"]
    assert after["moon"] is not before["moon"]
    assert (wanted(ALGEBRA), wanted(BOTANY)) == ({"star"}, {"moon"})
    # The version before and after, the current revisions, one document, the row ids of its requirements.
    assert len(queries) == 5


def test_a_requirement_that_was_archived_is_demanded_no_more():
    make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    make_template("both", {"key": "a", "course": ALGEBRA})

    (found,) = snapshot.current().matching(PASSING_STATUS, {"is_passing": True, "course": {"course_key": ALGEBRA}})

    assert [pk for pk, _group in found.template.requirements] == [BadgeRequirement.objects.get(archived_at=None).pk]
    assert wanted(BOTANY) == set()


def test_settings_that_change_are_seen_without_a_change_of_the_catalog(settings):
    make_template("star", {"key": "a", "course": ALGEBRA})
    assert wanted(ALGEBRA) == {"star"}

    settings.LMS_BADGES_CONFIG = {"events": [CCX_PASSING_STATUS]}

    assert wanted(ALGEBRA) == set()


def test_a_draft_is_asked_about_events_beside_the_live_catalog():
    make_template("star", {"key": "algebra", "course": ALGEBRA})
    document = export_template(BadgeTemplate.objects.get())
    more = {**document["requirements"][0], "key": "botany", "group": "either"}
    more["rules"] = [{"path": "course.course_key", "operator": "eq", "value": BOTANY}]
    version = snapshot.current().version

    draft = compile_draft({**document, "requirements": [*document["requirements"], more]})

    (found,) = draft.matching(PASSING_STATUS, {"is_passing": True, "course": {"course_key": BOTANY}})
    assert isinstance(found, Requirement)
    assert (found.key, found.id, draft.id, draft.revision_id) == ("botany", NO_ROW, NO_ROW, NO_ROW)
    assert [group.requirements for group in draft.completion({"botany"}).open] == [("algebra",)]
    assert draft.completion({"botany", "algebra"}).complete
    assert draft.matching(CCX_PASSING_STATUS, {"is_passing": True, "course": {"course_key": BOTANY}}) == []
    assert (snapshot.current().version, wanted(BOTANY)) == (version, set())


def test_a_draft_that_could_not_be_saved_is_refused_with_what_to_change():
    with pytest.raises(DocumentError, match=r"requirements\[0\]\.event_type"):
        compile_draft({"slug": "a", "name": "A", "requirements": [{"key": "a", "event_type": "houba"}]})
