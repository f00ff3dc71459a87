"""Criteria on the page of a template: edited as JSON, described, and tried out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from badges.admin import criteria_tryout
from badges.catalog.api import export_template
from badges.common.admin import format_time
from badges.conf import PASSING_STATUS
from badges.models import BadgeTemplate, InboxMessage, Learner, LoggedEvent
from tests.admin.pages import ADD, change, errors, fields, save
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    NOON,
    BadgeProgressFactory,
    LearnerFactory,
    LoggedEventFactory,
    make_template,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

TRY = "/admin/lms_badges/badgetemplate/criteria/try/"
TWO = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 2, "distinct": "course.course_key"}}}


@pytest.fixture
def designer(client: Any, staff: Callable[..., Any]) -> Any:
    client.force_login(staff("view_badgetemplate", "add_badgetemplate", "change_badgetemplate"))
    return client


def line(id: str, course: str = ALGEBRA, **given: Any) -> str:
    status = {"is_passing": True, "course": {"course_key": course}, "user": {"id": 7, "is_active": True}}
    event = {
        "id": id,
        "type": PASSING_STATUS,
        "time": "2026-03-01T10:00:00Z",
        "data": {"course_passing_status": status},
    }
    return json.dumps(event | given)


def tried(client: Any, **given: Any) -> str:
    answer = client.post(TRY, {"fragment": "1", **given})
    assert answer.status_code == 200
    return answer.content.decode()


# Editing


def test_a_template_is_made_of_a_document_alone(designer: Any) -> None:
    page = save(designer, ADD, name="Two", slug="two", is_active="on", criteria=json.dumps(TWO))
    assert page.status_code == 302
    template = BadgeTemplate.objects.get()
    assert export_template(template)["criteria"] == TWO
    assert json.loads(fields(designer, change(template))["criteria"]) == TWO


def test_a_page_that_is_saved_as_it_is_changes_nothing(designer: Any) -> None:
    template = make_template(criteria={"$and": [TWO, {"event": PASSING_STATUS, "criteria": {"ü": 1.0, "日": "\\n"}}]})
    before = export_template(template)
    assert save(designer, change(template)).status_code == 302
    assert export_template(template) == before
    assert template.revisions.count() == 1


def test_an_emptied_field_removes_the_document(designer: Any) -> None:
    template = make_template(criteria=TWO)
    assert save(designer, change(template), criteria=" \n").status_code == 302
    assert export_template(template)["criteria"] is None
    assert "criteria" not in fields(designer, change(template)).get("requirements-0-key", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"$and": [{"event": "nope"}]}', "/$and/0/event: there is no event type nope; write"),
        (
            f'{{"event": "{PASSING_STATUS}", "criteria": {{"a": {{"$gx": 1}}}}}}',
            "/criteria/a/$gx: there is no operator",
        ),
        ('{"event": "a", // why', "/: "),
        ("[]", "/: a criteria document is an object"),
        ('{"steps": []}', "/steps: 'steps' is not part of criteria; write"),
        ("[" * 100_000, "/: "),
    ],
)
def test_a_problem_is_shown_at_the_field_with_its_place_and_the_input_stays(
    designer: Any, text: str, expected: str
) -> None:
    page = save(designer, ADD, name="X", slug="x", is_active="on", criteria=text)
    (message,) = errors(page)
    assert message.startswith(expected)
    assert page.context["adminform"].form["criteria"].value() == text


def test_the_document_is_no_row_among_the_requirements(designer: Any) -> None:
    template = make_template(criteria=TWO)
    assert fields(designer, change(template))["requirements-TOTAL_FORMS"] == "1"
    page = save(designer, change(template), r0_removed="on")
    assert page.status_code == 302
    assert [row.key for row in template.requirements.filter(archived_at=None)] == ["criteria"]


def test_a_requirement_may_not_have_the_key_of_the_document(designer: Any) -> None:
    page = save(designer, ADD, name="X", slug="x", r0_event_type=PASSING_STATUS, r0_key="criteria")
    assert errors(page) == ["This is the key of the criteria document; write another one."]


def test_the_page_says_in_words_when_the_badge_is_earned_and_how_the_document_behaves(designer: Any) -> None:
    page = designer.get(change(make_template(criteria=TWO))).content.decode()
    assert "earned when: at least 2 different values of course.course_key in" in page
    assert "Only a new event can make it true." in page
    absent = {"$timeWindow": {"last": "7d", "flow": {"$not": {"event": PASSING_STATUS}}}}
    page = designer.get(change(make_template(criteria=absent))).content.decode()
    assert "It can become true by time alone." in page
    assert "Somebody without any event satisfies it." in page
    assert "Asked today, it looks back to" in page


def test_the_page_says_from_when_on_events_count(designer: Any) -> None:
    template = make_template(slug="houba", criteria=TWO, is_active=False)
    assert (
        "Events count that arrive after the template was activated" in designer.get(change(template)).content.decode()
    )
    make_template(slug="houba", criteria=TWO, now=NOON)
    page = designer.get(change(template)).content.decode()
    assert f"Events count that arrived since {format_time(NOON)}" in page


def test_who_may_only_view_reads_the_document_and_cannot_change_it(client: Any, staff: Callable[..., Any]) -> None:
    client.force_login(staff("view_badgetemplate"))
    template = make_template(criteria=TWO)
    page = client.get(change(template)).content.decode()
    assert "earned when: at least 2 different values" in page
    assert "$eventCount" in page
    assert "criteria" not in fields(client, change(template))


# Trying out


def test_pasted_events_are_evaluated_and_nothing_is_saved(designer: Any) -> None:
    one = tried(designer, criteria=json.dumps(TWO), events=line("1"))
    assert "Not satisfied" in one
    assert "1 of 2 different values" in one
    assert "does not hold:" in one
    both = tried(designer, criteria=json.dumps(TWO), events=f"{line('1')}\n\n{line('2', GEOMETRY)}")
    assert "<strong>Satisfied" in both
    assert (LoggedEvent.objects.count(), InboxMessage.objects.count(), Learner.objects.count()) == (0, 0, 0)


def test_an_event_that_is_pasted_twice_is_one_event(designer: Any) -> None:
    twice = {"event": PASSING_STATUS, "criteria": {"$eventCount": 2}}
    assert "1 of 2 events" in tried(designer, criteria=json.dumps(twice), events=f"{line('1')}\n{line('1')}")


def test_lines_that_cannot_be_read_are_named_and_the_others_count(designer: Any) -> None:
    answer = tried(designer, criteria=json.dumps(TWO), events=f"oops\n{line('1')}\n{line('2', type='nope')}")
    assert "Line 1: not JSON" in answer
    assert "Line 3: " in answer
    assert "1 of 2 different values" in answer


def test_without_a_document_in_the_request_the_stored_one_is_tried(designer: Any) -> None:
    template = make_template(criteria=TWO)
    assert "1 of 2 different values" in tried(designer, template=template.pk, events=line("1"))
    assert "There is no criteria document yet." in tried(designer, template=make_template().pk)
    assert "There is no criteria document yet." in tried(designer)


def test_what_is_wrong_is_said_for_each_field(designer: Any) -> None:
    answer = tried(designer, criteria="{}", at="yesterday")
    assert "Criteria: /: write an object with one entry" in answer
    assert "At the time: Write a time with its offset" in answer


def test_there_are_limits_on_what_is_pasted(designer: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(criteria_tryout, "MAX_LINES", 2)
    assert "Write at most 2 lines." in tried(designer, criteria=json.dumps(TWO), events="x\n" * 3)
    assert "at most 500000 characters" in tried(designer, criteria=json.dumps(TWO), events="x" * 500_001)


def test_markup_in_events_and_documents_is_shown_as_text(designer: Any) -> None:
    document = {"event": PASSING_STATUS, "criteria": {"course.course_key": "<b>bold</b>"}}
    answer = tried(designer, criteria=json.dumps(document), events=line("1", "<script>alert(1)</script>"))
    assert "<script>" not in answer
    assert "<b>" not in answer


def test_logged_events_are_tried_by_those_who_may_view_them(client: Any, staff: Callable[..., Any]) -> None:
    learner = LearnerFactory(lms_user_id=417)
    for course in (ALGEBRA, GEOMETRY):
        data = {"course_passing_status": {"is_passing": True, "course": {"course_key": course}}}
        LoggedEventFactory(person=417, data=json.dumps(data))
    client.force_login(staff("view_badgetemplate"))
    assert "You may not view logged events." in tried(client, criteria=json.dumps(TWO), learner="417")
    client.force_login(staff("view_badgetemplate", "view_loggedevent"))
    for name in ("417", learner.user.username, str(learner.uuid)):
        assert "<strong>Satisfied" in tried(client, criteria=json.dumps(TWO), learner=name)
    before = tried(client, criteria=json.dumps(TWO), learner="417", at="2026-03-01T00:00:00Z")
    assert "0 of 2 different values" in before
    assert "There is nobody here" in tried(client, criteria=json.dumps(TWO), learner="nobody")
    assert "not both" in tried(client, criteria=json.dumps(TWO), learner="417", events=line("1"))


def test_the_stored_document_is_tried_over_the_events_that_count_and_another_one_over_all(
    client: Any, staff: Callable[..., Any]
) -> None:
    template = make_template(criteria=TWO, now=NOON + dt.timedelta(days=1))
    for course in (ALGEBRA, GEOMETRY):
        data = {"course_passing_status": {"is_passing": True, "course": {"course_key": course}}}
        LoggedEventFactory(person=417, data=json.dumps(data))
    client.force_login(staff("view_badgetemplate", "view_loggedevent"))
    for written in ({}, {"criteria": json.dumps(TWO, indent=2)}):  # the page sends what is in the form
        stored = tried(client, template=template.pk, learner="417", **written)
        assert "<strong>Not satisfied" in stored
        assert "since 2026-03-15T12:00:00Z, as in decisions. 2 events arrived before." in stored
    other = tried(client, template=template.pk, learner="417", criteria=json.dumps({**TWO, "$comment": "edited"}))
    assert "<strong>Satisfied" in other
    assert "A simulation: all logged events of the learner count." in other


def test_only_staff_with_a_permission_for_templates_may_try(client: Any, staff: Callable[..., Any]) -> None:
    client.force_login(staff("view_loggedevent"))
    assert client.post(TRY, {"criteria": json.dumps(TWO)}).status_code == 403
    assert client.get(TRY).status_code == 405


def test_without_javascript_the_answer_is_a_page(designer: Any) -> None:
    answer = designer.post(TRY, {"criteria": json.dumps(TWO)})
    assert "<html" in answer.content.decode()


def test_the_reference_shows_every_entry_of_the_language(designer: Any) -> None:
    page = designer.get("/admin/lms_badges/badgetemplate/criteria/reference/").content.decode()
    for name in ("$sequence", "$timeWindow", "$pattern", "$duration", PASSING_STATUS, "$between"):
        assert name in page


def test_the_page_of_progress_says_what_is_missing_to_those_who_may_view_the_log(
    client: Any, staff: Callable[..., Any]
) -> None:
    progress = BadgeProgressFactory(template=make_template(criteria=TWO))
    page = f"/admin/lms_badges/badgeprogress/{progress.pk}/change/"
    client.force_login(staff("view_badgeprogress"))
    assert "earned when: at least 2" in (shown := client.get(page).content.decode())
    assert "Missing:" not in shown
    client.force_login(staff("view_badgeprogress", "view_loggedevent"))
    assert "Missing: 0 of 2 different values" in client.get(page).content.decode()
