"""The compiled catalog has the current requirements of each template, all of them or none."""

from __future__ import annotations

import pytest
from django.db import connection

from badges.catalog import snapshot
from badges.catalog.api import bump_version
from badges.catalog.models import BadgeRequirement, BadgeTemplate, DataRule
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from tests.support.pipeline_factories import make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


def wanted(course: str, catalog: snapshot.Snapshot | None = None) -> set[str]:
    """Return the slugs of the templates that want somebody to pass a course."""
    event = {"is_passing": True, "course": {"course_key": course}}
    return {found.template.slug for found in (catalog or snapshot.current()).matching(PASSING_STATUS, event)}


def test_a_template_of_which_one_rule_cannot_be_read_any_more_is_left_out_as_a_whole(caplog):
    make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    make_template("star", {"key": "a", "course": ALGEBRA})
    DataRule.objects.filter(requirement__key="b", path="course.course_key").update(path="course.gone")
    bump_version()

    assert wanted(ALGEBRA) == {"star"}
    assert wanted(BOTANY) == set()
    assert "is left out" in caplog.text


def test_what_changes_while_it_is_compiled_is_compiled_too():
    make_template("star", {"key": "a", "course": ALGEBRA})
    make_template("late", {"key": "a", "course": ALGEBRA}, is_active=False)
    late = BadgeTemplate.objects.filter(slug="late")

    def switch_on_once_rules_were_read(execute, sql, params, many, context):
        if "templateissuer" in sql and not switched:
            switched.append(True)
            late.update(is_active=True)
            bump_version()
        return execute(sql, params, many, context)

    switched: list[bool] = []
    with connection.execute_wrapper(switch_on_once_rules_were_read):
        catalog = snapshot.current()

    # Not as it was before, and not switched on without its rules.
    assert wanted(ALGEBRA, catalog) == {"star", "late"}
    assert wanted(BOTANY, catalog) == set()


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
