"""What a designer relies on: penalties are edited on the page of their template."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from badges.catalog.api import export_template
from badges.catalog.models import BadgePenalty
from badges.conf import PASSING_STATUS
from tests.admin.pages import ADD, ALGEBRA, change, errors, fields, save
from tests.factories import make_template, penalty, requirement, rule

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

FAILS = {
    "penalties-TOTAL_FORMS": "1",
    "penalties-0-event_type": PASSING_STATUS,
    "penalties-0-rules-0-path": "is_passing",
    "penalties-0-rules-0-operator": "eq",
    "penalties-0-rules-0-value": "no",
}


@pytest.fixture
def designer(staff: Any, client: Client) -> Client:
    """Somebody who may change templates, and has no permission for the tables of their parts."""
    client.force_login(staff("add_badgetemplate", "change_badgetemplate", "view_badgetemplate", username="designer"))
    return client


def labs(**given: Any) -> Any:
    """Make a template with two requirements."""
    return make_template(**{"requirements": [requirement("pass"), requirement("labs", course=None)], **given})


def penalties(template: Any) -> list[Any]:
    template.refresh_from_db()
    found: list[Any] = export_template(template)["penalties"]
    return found


def test_a_penalty_is_added_with_its_rules_and_the_requirements_that_it_resets(designer):
    template = labs()

    page = save(designer, change(template), **FAILS, **{"penalties-0-resets": ["labs", "pass"]})

    assert page.status_code == 302, errors(page)
    fails = [rule("is_passing", "eq", False)]
    assert penalties(template) == [{"event_type": PASSING_STATUS, "requirements": ["labs", "pass"], "rules": fails}]
    shown = designer.get(change(template)).content.decode()
    assert shown.count('name="penalties-0-resets"') == 2


def test_saving_the_page_as_it_is_changes_no_penalty(designer):
    template = labs(
        penalties=[penalty("pass"), penalty("labs", rules=[rule("course.course_key", "in", ["a,b", " c "])])]
    )
    before, rows = penalties(template), list(BadgePenalty.objects.values_list("pk", flat=True))

    page = save(designer, change(template))

    assert page.status_code == 302, errors(page)
    assert penalties(template) == before
    assert list(BadgePenalty.objects.values_list("pk", flat=True)) == rows
    assert template.revisions.count() == 1


def test_a_penalty_is_changed_and_removed(designer):
    template = labs(penalties=[penalty("pass")])

    save(designer, change(template), **{"penalties-0-resets": ["labs"], "penalties-0-rules-1-value": "course-v1:A+B+1"})
    assert [(each["requirements"], each["rules"][1]["value"]) for each in penalties(template)] == [
        (["labs"], "course-v1:A+B+1")
    ]
    save(designer, change(template), **{"penalties-0-DELETE": "on"})

    assert penalties(template) == []
    assert template.revisions.count() == 3


def test_what_is_wrong_is_shown_at_its_place(designer):
    template = labs()
    wrong = [
        ({"penalties-0-resets": []}, "Choose at least one requirement, or remove the penalty."),
        ({"penalties-0-resets": ["houba"]}, "does not have the requirement houba"),
        ({"penalties-0-resets": ["labs"], "requirements-0-removed": "on"}, "does not have the requirement labs"),
        ({"penalties-0-resets": ["criteria"]}, "does not have the requirement criteria"),
        ({"penalties-0-resets": ["pass"], "penalties-0-rules-0-path": "is_pasing"}, "Correct the rules marked below."),
        ({"penalties-0-resets": ["pass"], "penalties-0-event_type": ""}, "This field is required."),
    ]
    assert fields(designer, change(template))["requirements-0-key"] == "labs"
    for sent, message in wrong:
        page = save(designer, change(template), **{**FAILS, **sent})
        assert any(message in each for each in errors(page)), (sent, errors(page))


def test_the_criteria_document_can_be_chosen_where_there_is_one(designer):
    template = make_template(requirements=[], criteria={"event": PASSING_STATUS})

    page = save(designer, change(template), **FAILS, **{"penalties-0-resets": ["criteria"]})

    assert page.status_code == 302, errors(page)
    assert penalties(template)[0]["requirements"] == ["criteria"]
    page = save(designer, change(template), criteria="", is_active=None)
    assert any("does not have the requirement criteria" in each for each in errors(page))


def test_a_new_template_has_no_penalties_yet_and_readers_see_them(designer, staff):
    assert "penalties-0" not in designer.get(ADD).content.decode()
    template = labs(penalties=[penalty("pass", course=ALGEBRA)])
    reader = Client()
    reader.force_login(staff("view_badgetemplate", username="reader"))

    shown = reader.get(change(template)).content.decode()

    assert "is_passing is false and course.course_key is" in shown
    assert 'name="penalties-0-event_type"' not in shown


def test_a_form_of_a_penalty_that_was_tampered_with_is_refused_and_not_a_500(designer):
    template = labs(penalties=[penalty("pass")])
    for changed in (
        {"penalties-TOTAL_FORMS": "x"},
        {"penalties-0-id": "0190b5a4-7d1e-7c3a-9f00-1234567890ab"},
        {"penalties-0-id": "\0"},
        {"penalties-0-resets": ["\0"]},
        {"penalties-0-event_type": "houba"},
    ):
        page = save(designer, change(template), **changed)
        assert page.status_code in (200, 400), changed
    assert template.revisions.count() == 1
