"""The compiled catalog has the current requirements of each template, all of them or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges.catalog import snapshot
from badges.catalog.api import DocumentError, Requirement, compile_draft, export_template
from badges.catalog.interests import NO_ROW
from badges.catalog.models import BadgeRequirement, BadgeTemplate
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from tests.factories import make_template

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
