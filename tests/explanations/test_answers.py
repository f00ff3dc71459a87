"""What an answer says of each reason why somebody has or has not got a badge: facts and sentences."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from badges import api, pipeline
from badges.conf import PASSING_STATUS
from badges.exceptions import UnknownPersonError
from badges.explanations import reading
from badges.intake.events import parse_event
from badges.models import BadgeProgress, BadgeTemplate, InboxMessage, LoggedEvent
from badges.testing.events import enrollment
from tests.explanations.scenes import passes
from tests.factories import (
    ALGEBRA,
    EXPIRED,
    GEOMETRY,
    NOON,
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    LoggedEventFactory,
    UserCredentialFactory,
    UserFactory,
    make_template,
    penalty,
    requirement,
    rule,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

AFTER = NOON + dt.timedelta(hours=1)


def said(person: Any, template: str = "star") -> str:
    return "\n".join(api.answer_sentences(api.why(person, template)))


def star(*requirements: Any, **given: Any) -> Any:
    given = {"slug": "star", "name": "Star", **given}
    return make_template(**given, **({"requirements": list(requirements)} if requirements else {}))


def held_by(**given: Any) -> Any:
    """Return somebody with a credential of the template ``star``."""
    return UserCredentialFactory(template=star(), **given).learner


# --- near misses -----------------------------------------------------------------------------------------------------


def test_a_near_miss_is_told_with_its_values_and_its_time_for_a_person_without_a_learner() -> None:
    star()
    missed = passes(41, is_passing=False)
    assert InboxMessage.objects.count() == 0  # the event log alone has it
    answer = api.why(41, "star")
    (closest,) = [each.closest for group in answer.groups for each in group.requirements]
    assert (closest.id, closest.time) == (missed.id, NOON)
    assert [(each.path, each.value, each.observed, each.holds) for each in closest.rules] == [
        ("is_passing", True, False, False),
        ("course.course_key", ALGEBRA, ALGEBRA, True),
    ]
    assert answer.person.uuid is None
    text = said(41)
    assert f"It came closest with the event {missed.id} of March 14, 2026, noon UTC" in text
    assert "is_passing was false (expected: is true)." in text


def test_the_event_with_the_most_rules_that_hold_is_the_closest_and_of_two_the_newest() -> None:
    star()
    passes(41, is_passing=False, course=GEOMETRY, at=AFTER)
    passes(41, is_passing=False)
    newest = passes(41, is_passing=False, at=NOON + dt.timedelta(minutes=1))
    (group,) = api.why(41, "star").groups
    assert group.requirements[0].closest.id == newest.id  # type: ignore[union-attr]


def test_a_step_without_any_event_says_so_and_a_missing_value_is_called_missing() -> None:
    star(requirement(rules=[rule("is_passing", "eq", True)]))
    LearnerFactory(lms_user_id=41)
    assert "No event of this type is known: course passing status updated." in said(41)
    LoggedEventFactory(person=41, data='{"course_passing_status":{}}')
    assert "is_passing was missing (expected: is true)" in said(41)


def test_what_an_event_has_of_a_person_is_not_shown(settings: Any) -> None:
    event_type = "org.openedx.learning.course.enrollment.created.v1"
    here = {"rules": {"ignored_keypaths": []}, "events": [event_type]}
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, **here}
    rules = [rule("user.pii.email", "eq", "zorglub@bulgroz.example"), rule("mode", "eq", "verified")]
    star({"key": "enrol", "event_type": event_type, "rules": rules})
    # What another badge demands is in the inbox as it arrived, with all that is personal.
    make_template(requirements=[{"key": "any", "event_type": event_type, "rules": []}])
    sent = enrollment(lms_user_id=41, username="spip", email="spip@champignac.example", mode="audit")
    pipeline.handle([parse_event(sent.line, received_from="test")])
    assert "spip@champignac.example" in InboxMessage.objects.get().payload
    answer = api.why(41, "star")
    (group,) = answer.groups
    found = {each.path: each for each in group.requirements[0].closest.rules}  # type: ignore[union-attr]
    assert (found["user.pii.email"].observed, found["user.pii.email"].note) == (None, "personal")
    assert found["mode"].observed == "audit"
    assert "spip@champignac.example" not in repr(answer) + said(41)
    assert "user.pii.email is personal and not shown" in said(41)


@pytest.mark.parametrize("observed", ["x" * 5000, {"a": [1]}, "\ud800", 'z"<b>'])
def test_whatever_an_event_has_is_told_in_a_short_text_that_can_be_written(observed: Any) -> None:
    star(requirement(rules=[rule("course.course_key", "eq", ALGEBRA)]))
    LoggedEventFactory(person=41, data=json.dumps({"course_passing_status": {"course": {"course_key": observed}}}))
    told = api.answer_sentences(api.why(41, "star"))
    assert all(len(line) < 600 for line in told)
    "\n".join(told).encode()


def test_older_events_are_left_out_and_the_answer_says_so(monkeypatch: Any) -> None:
    star()
    monkeypatch.setattr(reading, "MAX_EVENTS", 2)
    LoggedEventFactory.create_batch(2, person=41)
    assert "older ones" not in said(41)
    LoggedEventFactory(person=41)
    answer = api.why(41, "star")
    assert (answer.events_read, answer.is_complete) == (2, False)
    assert "Only the newest events were looked at; there are older ones." in said(41)


# --- each reason -----------------------------------------------------------------------------------------------------


def test_a_badge_is_held_with_its_cause_and_the_revision_that_decided() -> None:
    star()
    event = passes(41)
    answer = api.why(41, "star")
    assert (answer.state, answer.credentials[0].cause.event_id) == ("held", event.id)
    text = said(41)
    assert text.startswith("The badge “Star” is held.\nIt was awarded on ")
    assert f"Cause: the event {event.id} of March 14, 2026, noon UTC. Revision 1 of the template decided." in text
    assert "Steps done: 1 of 1." in text
    assert "Done: is_passing is true and course.course_key is" in text


def test_a_penalty_is_told_with_the_badge_it_revoked_and_the_step_it_reset() -> None:
    star(requirement(), penalties=[penalty()])
    passes(41)
    lost = passes(41, is_passing=False, at=AFTER)
    answer = api.why(41, "star")
    assert answer.state == "open"
    assert answer.credentials[0].revocation.event_id == lost.id  # type: ignore[union-attr]
    text = said(41)
    assert "It was revoked on " in text
    assert text.count(f"Cause: the event {lost.id}") >= 2
    assert "What was done for it up to March 14, 2026, 1 p.m. UTC does not count." in text
    assert "It is blocked" not in text


@pytest.mark.parametrize(
    ("columns", "state", "sentence"),
    [
        ({**REVOKED, "public_reason": "Copied."}, "open", "Reason: Copied."),
        ({**REVOKED, "blocked": True}, "blocked", "It is blocked: it is not awarded again until the block is lifted."),
        (
            {**REVOKED, "block_lifted_at": NOON},
            "open",
            "The block was lifted on March 14, 2026, noon UTC. It can be earned again.",
        ),
        (EXPIRED, "open", "It expired on March 14, 2026, noon UTC."),
        ({**EXPIRED, "status": "replaced"}, "open", "It was renewed on March 14, 2026, noon UTC: a newer one"),
        ({"valid_until": NOON}, "open", "It expired on March 14, 2026, noon UTC."),  # before its row is marked
        ({"valid_until": NOON.replace(year=2099)}, "held", "It is valid until March 14, 2099, noon UTC."),
        ({"cause_kind": "person", "cause_event_id": "a-bulk-run"}, "held", "Cause: a person decided it."),
        ({"cause_kind": "program"}, "held", "Cause: another program decided it."),
        ({"cause_kind": "time"}, "held", "Cause: time passed, until March 14, 2026, 11:58 a.m. UTC."),
        ({"cause_kind": "condition"}, "held", "Cause: the activity "),
    ],
)
def test_what_became_of_a_credential_is_told(columns: Any, state: str, sentence: str) -> None:
    learner = held_by(**columns)
    assert api.why(learner, "star").state == state
    assert sentence in said(learner)
    assert "a-bulk-run" not in said(learner)


@pytest.mark.parametrize(
    ("given", "state", "sentence"),
    [
        ({"is_active": False}, "inactive", "The badge is switched off at the moment."),
        ({"requirements": []}, "by_people_only", "No event gives this badge. People award it."),
        ({}, "open", "Still open: is_passing is true"),
    ],
)
def test_what_the_template_is_like_is_told(given: Any, state: str, sentence: str) -> None:
    star(**given)
    learner = LearnerFactory()
    assert api.why(learner, "star").state == state
    assert sentence in said(learner)


def test_an_archived_template_says_when_it_was_archived() -> None:
    template = star()
    BadgeTemplate.objects.filter(pk=template.pk).update(archived_at=NOON, is_active=False)
    learner = LearnerFactory()
    assert api.why(learner, "star").state == "archived"
    assert "The badge was archived on March 14, 2026, noon UTC. Nobody gets it any more." in said(learner)


def test_a_badge_that_is_awarded_once_is_not_earned_again() -> None:
    learner = UserCredentialFactory(template=star(award_once=True), **REVOKED).learner
    assert api.why(learner, "star").state == "awarded_once"
    assert "It is awarded once only, so it cannot be earned again." in said(learner)


def test_a_badge_for_engagement_says_whether_the_figures_are_enough() -> None:
    star(slug="getting_started", requirements=[])
    learner = LearnerFactory()
    assert api.why(learner, "getting_started").condition_holds is False
    assert "They are not enough yet." in said(learner, "getting_started")


def test_an_event_that_fits_and_did_not_count_is_told_with_the_reason() -> None:
    star()
    passes(41)
    BadgeProgress.objects.get().fulfillments.all().delete()
    rows = InboxMessage.objects.all()
    assert "It was decided earlier than the badge was last changed." not in said(41)
    star(requirement("other"), now=NOON.replace(year=2090))
    assert "It was decided earlier than the badge was last changed." in said(41)
    rows.update(state="dead", reason="secret of the operator")
    assert "It could not be decided; staff can try it again." in said(41)
    assert "secret of the operator" not in said(41)
    rows.update(state="pending", due_at=NOON)
    assert "It waits to be decided." in said(41)


def test_an_event_before_a_reset_fits_and_does_not_count() -> None:
    star(requirement(), penalties=[penalty()])
    passes(41, is_passing=False, at=AFTER)
    passes(41)
    assert "It does not count, because of the reset." in said(41)


def test_everything_done_without_an_award_waits_for_the_next_event() -> None:
    progress = BadgeProgressFactory(template=star())
    FulfillmentFactory(progress=progress)
    assert api.why(progress.learner, "star").state == "complete"
    assert "All steps are done, and no event has come since" in said(progress.learner)


def test_of_alternatives_all_are_told_while_none_is_done_and_then_only_that_one() -> None:
    star(requirement("a", group="g", description="Alpha"), requirement("b", group="g", description="Beta", course=None))
    LearnerFactory(lms_user_id=41)
    assert "One of the next 2 is enough:\nStill open: Alpha" in said(41)
    passes(41, course=GEOMETRY)
    assert "Alpha" not in said(41)
    assert "Done: Beta" in said(41)


def test_a_criteria_document_is_told_with_what_is_missing_and_its_trace() -> None:
    star(requirements=[], criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 3}}})
    passes(41)
    answer = api.why(41, "star")
    assert answer.criteria is not None
    assert (answer.criteria.missing, answer.criteria.events_read) == (["1 of 3 events"], 1)
    assert answer.criteria.trace_as_json()["result"] is False
    text = said(41)
    assert "Still open: earned when: at least 3 “course passing status updated” events" in text
    assert "Missing: 1 of 3 events." in text


def test_events_that_arrived_before_the_document_are_counted_apart() -> None:
    passing_log = {"person": 41, "received_at": NOON.replace(year=2001)}
    LoggedEventFactory.create_batch(2, **passing_log)
    star(requirements=[], criteria={"event": PASSING_STATUS})
    assert "Events that do not count, because they arrived before" in said(41)
    assert api.why(41, "star").criteria.events_before == 2  # type: ignore[union-attr]


def test_rules_that_cannot_be_used_are_told_without_an_error(settings: Any) -> None:
    star()
    LearnerFactory(lms_user_id=41)
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "events": []}
    assert "It cannot be fulfilled at the moment, because its rules cannot be used." in said(41)


# --- people ----------------------------------------------------------------------------------------------------------


def test_nobody_is_named_and_no_reason_of_staff_is_told() -> None:
    boss = UserFactory(username="zorglub")
    secrets = {"internal_reason": "hush one", "cause_reason": "hush two", "block_lifted_reason": "hush three"}
    people = {"cause_kind": "person", "cause_person": boss, "revocation_person": boss, "block_lifted_person": boss}
    revoked = {**REVOKED, "revocation_kind": "person", "block_lifted_at": NOON}
    learner = held_by(**revoked, **secrets, **people)
    assert "hush" not in repr(api.why(learner, "star")) + said(learner)
    assert "zorglub" not in repr(api.why(learner, "star")) + said(learner)


def test_a_person_is_known_by_account_lms_user_id_or_uuid_and_nobody_else_is() -> None:
    star()
    account, learner = UserFactory(username="বুড়ো-আংলা"), LearnerFactory(lms_user_id=41)
    LoggedEventFactory(person=77, event_type="of.another.type")
    assert api.why("বুড়ো-আংলা", "star").person.username == account.username
    assert api.why(learner.uuid, "star").person.lms_user_id == 41
    assert api.why(77, "star").state == "open"
    for nobody in ("houba-houba", 78, "78", "\0", 10**19 - 1, 9**30):
        with pytest.raises(UnknownPersonError):
            api.why(nobody, "star")
    for nothing in ("moon", "\0"):
        with pytest.raises(BadgeTemplate.DoesNotExist):
            api.why(41, nothing)


def test_a_retired_person_is_told_apart_from_an_unknown_one() -> None:
    star()
    learner = LearnerFactory(lms_user_id=41)
    passes(41, is_passing=False)
    api.retire(41)
    for person in (41, learner.uuid):
        answer = api.why(person, "star")
        assert (answer.state, answer.person.username, answer.events_read) == ("retired", None, 0)
        assert "The data of this person was removed" in said(person)


def test_the_sentences_are_in_the_language_of_the_reader() -> None:
    star(name="النجمة")
    passes(41, is_passing=False)
    english = api.answer_sentences(api.why(41, "star"))
    for language in ("ar", "de", "es", "fr"):
        with translation.override(language):
            told = api.answer_sentences(api.why(41, "star"))
        assert len(told) == len(english)
        assert not set(told) & set(english)
        assert "النجمة" in told[0]


def test_much_history_costs_no_more_statements() -> None:
    rules = [requirement(f"r{number}") for number in range(8)]
    star(requirement(), penalties=[penalty()], criteria={"event": PASSING_STATUS})
    passes(41)
    passes(41, is_passing=False, at=AFTER)
    api.why(41, "star")
    with CaptureQueriesContext(connection) as before:
        api.why(41, "star")
    star(requirement(), *rules, penalties=[penalty()], criteria={"event": PASSING_STATUS})
    for minute in range(2, 12):
        passes(41, at=AFTER + dt.timedelta(minutes=2 * minute))
        passes(41, at=AFTER + dt.timedelta(minutes=2 * minute + 1), is_passing=False)
    assert LoggedEvent.objects.count() == 22
    with CaptureQueriesContext(connection) as after:
        api.why(41, "star")
    assert len(after) <= len(before) <= 20
