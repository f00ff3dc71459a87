"""What a learner relies on: a badge for fulfilling all requirements, once, and none for less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.conf import PASSING_STATUS
from badges.intake.events import Unreadable, parse_event
from badges.intake.models import InboxMessage, Learner
from badges.issuers.credly.models import CredlyBadge
from badges.outbox.models import OutboxMessage
from badges.progress.models import BadgeProgress, Fulfillment
from badges.testing import events as made
from tests.factories import NOON, REVOKED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY, CHESS = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2", "course-v1:Uni+Chess+3"
ENROLLED = "org.openedx.learning.course.enrollment.created.v1"


def test_an_event_that_completes_a_template_becomes_a_credential(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA, lms_user_id=41, username="marsupilami")

    result = pipeline.handle([event])

    credential = UserCredential.objects.get()
    assert (result.awarded, result.matched) == (1, 1)
    assert credential.learner.lms_user_id == 41
    assert credential.learner.user.get_username() == "marsupilami"
    assert (credential.cause_event_id, credential.cause_event_type) == (event.id, PASSING_STATUS)
    assert credential.revision.number == 1


def test_one_of_two_requirements_is_no_badge(template, passing):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})

    pipeline.handle([passing(course_key=ALGEBRA)])

    assert Fulfillment.objects.count() == 1
    assert not UserCredential.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_ungrouped_requirements_are_all_needed(template, passing):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})

    pipeline.handle([passing(course_key=BOTANY)])
    pipeline.handle([passing(course_key=ALGEBRA)])

    assert UserCredential.objects.count() == 1


def test_one_alternative_of_a_group_is_enough_and_the_second_group_still_open_means_no_badge(template, passing):
    template(
        "either",
        {"key": "a", "course": ALGEBRA, "group": "science"},
        {"key": "b", "course": BOTANY, "group": "science"},
        {"key": "c", "course": CHESS},
    )

    pipeline.handle([passing(course_key=BOTANY)])
    assert not UserCredential.objects.exists()

    pipeline.handle([passing(course_key=CHESS)])
    assert UserCredential.objects.count() == 1


def test_249_of_250_is_not_complete(template, passing):
    courses = [f"course-v1:Uni+C{number}+1" for number in range(250)]
    template("marathon", *({"key": f"r{n}", "course": course} for n, course in enumerate(courses)))

    pipeline.handle([passing(course_key=course) for course in courses[:249]])
    assert Fulfillment.objects.count() == 249
    assert not UserCredential.objects.exists()

    pipeline.handle([passing(course_key=courses[249])])
    assert UserCredential.objects.count() == 1


def test_the_same_event_twice_counts_once(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA)

    first, again = pipeline.handle([event, event]), pipeline.handle([event])

    assert (first.duplicates, again.duplicates, again.awarded) == (1, 1, 0)
    assert UserCredential.objects.count() == InboxMessage.objects.count() == 1


def test_the_same_fact_under_two_ids_is_one_credential_one_issue_and_one_announcement(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA}, issuers=[CREDLY])

    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=7)])
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=7)])

    assert InboxMessage.objects.count() == 2
    assert Fulfillment.objects.count() == UserCredential.objects.count() == CredlyBadge.objects.count() == 1
    assert sorted(OutboxMessage.objects.values_list("channel", flat=True)) == ["announce", "credly"]


CREDLY = {
    "provider": "credly",
    "organization": "11111111-2222-4333-8444-555555555555",
    "template": "99999999-8888-4777-8666-555555555555",
}


def test_an_enrolment_made_by_staff_credits_the_learner(template, settings):
    settings.LMS_BADGES_CONFIG = {"events": [ENROLLED]}
    template("welcome", requirements=[{"key": "enrol", "event_type": ENROLLED}])
    staff = made.user(lms_user_id=1, username="aaron-the-admin")
    line = made.enrollment(lms_user_id=52, username="zoe", created_by=staff).line

    pipeline.handle([parse_event(line, received_from="test")])

    assert UserCredential.objects.get().learner.lms_user_id == 52
    assert not get_user_model().objects.filter(username="aaron-the-admin").exists()


def test_an_event_that_meets_no_requirement_is_counted_and_costs_no_row(template, passing, settings):
    template("sleeping", {"key": "pass", "course": ALGEBRA}, is_active=False)
    template("star", {"key": "pass", "course": BOTANY})
    enrolled = made.enrollment(lms_user_id=52, username="zoe")
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS, ENROLLED]}
    strange = parse_event(enrolled.line, received_from="test")
    settings.LMS_BADGES_CONFIG = {}

    result = pipeline.handle(
        [
            passing(course_key=ALGEBRA, username="for-an-inactive-template", lms_user_id=2),
            passing(course_key=BOTANY, with_pii=False, lms_user_id=3),
            strange,
        ]
    )

    assert result.ignored == {
        (PASSING_STATUS, "no match"): 1,
        (PASSING_STATUS, "no learner"): 1,
        (ENROLLED, "not configured"): 1,
    }
    for table in (InboxMessage, Learner, BadgeProgress, get_user_model()):
        assert not table.objects.exists()


def test_a_known_learner_needs_no_personal_data_in_the_event(template, passing):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=8, username="houba")])

    pipeline.handle([passing(course_key=BOTANY, lms_user_id=8, with_pii=False)])

    assert UserCredential.objects.get().learner.user.get_username() == "houba"


def test_unmatched_events_are_kept_when_asked_for(template, passing, settings):
    settings.LMS_BADGES_CONFIG = {"keep_unmatched": True}
    template("star", {"key": "pass", "course": ALGEBRA})

    pipeline.handle([passing(course_key=BOTANY)])

    assert InboxMessage.objects.get().state == "unmatched"
    assert not Learner.objects.exists()


def test_a_username_of_another_lms_user_is_a_dead_letter_and_the_others_are_decided(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=8, username="houba")])

    result = pipeline.handle(
        [
            passing(course_key=ALGEBRA, lms_user_id=9, username="houba"),
            passing(course_key=ALGEBRA, lms_user_id=10, username="spirou"),
        ]
    )

    assert (result.dead, result.awarded) == (1, 1)
    dead = InboxMessage.objects.get(state="dead")
    assert dead.lms_user_id == 9
    assert "another LMS user" in dead.reason
    assert "houba" not in dead.reason


def test_an_existing_account_is_used_and_never_overwritten(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    get_user_model().objects.create(username="zoe", email="zoe@home.example", first_name="Zoe", is_active=True)

    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=12, username="zoe", name="Someone Else", email="x@y.z")])

    user = UserCredential.objects.get().learner.user
    assert (user.email, user.first_name) == ("zoe@home.example", "Zoe")


def test_usernames_that_differ_only_in_case_never_share_or_change_an_account(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    get_user_model().objects.create(username="Zoe", email="zoe@home.example")

    result = pipeline.handle(
        [
            passing(course_key=ALGEBRA, lms_user_id=12, username="zoe", email="another@x.example"),
            passing(course_key=ALGEBRA, lms_user_id=13, username="houba"),
        ]
    )

    assert get_user_model().objects.get(email="zoe@home.example").get_username() == "Zoe"
    assert not Learner.objects.filter(user__email="zoe@home.example").exists()
    assert UserCredential.objects.filter(learner__lms_user_id=13).exists()
    # A host whose column ignores case cannot hold both names; elsewhere the second one gets an account.
    equates = get_user_model().objects.filter(username="ZOE").exists()
    assert (result.awarded, result.dead) == ((1, 1) if equates else (2, 0))
    assert not equates or "binary collation" in InboxMessage.objects.get(state="dead").reason


@pytest.mark.parametrize(
    ("username", "name"),
    [("ada-ب", "أحمد بن علي"), ("wang", "王小明"), ("e\u0301clair", "Zoë D'Arc-Ünal")],
)
def test_names_in_every_script_are_stored_unchanged(template, passing, username, name):
    template("star", {"key": "pass", "course": ALGEBRA})

    pipeline.handle([passing(course_key=ALGEBRA, username=username, name=name)])

    user = UserCredential.objects.get().learner.user
    assert user.get_username() == username
    assert user.get_full_name() == name


def test_ids_that_differ_only_in_case_are_different(template, passing):
    template("Star", {"key": "pass", "course": "course-v1:Uni+Algebra+1"})
    template("star", {"key": "pass", "course": "course-v1:uni+algebra+1"})

    pipeline.handle([passing(course_key="course-v1:Uni+Algebra+1", lms_user_id=1, username="one")])
    pipeline.handle([passing(course_key="course-v1:uni+algebra+1", lms_user_id=2, username="two")])

    awarded = UserCredential.objects.values_list("learner__lms_user_id", "template__slug")
    assert set(awarded) == {(1, "Star"), (2, "star")}


def test_a_template_edited_after_a_fulfilment_awards_at_the_next_event_and_not_before(template, passing):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=5)])

    template("both", {"key": "a", "course": ALGEBRA})
    assert not UserCredential.objects.exists()

    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=5)])
    credential = UserCredential.objects.get()
    assert credential.revision.number == 2


def test_a_revoked_badge_is_not_awarded_again_by_the_next_event(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=5)])
    UserCredential.objects.update(**REVOKED)

    result = pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=5)])

    assert (result.matched, result.awarded) == (1, 0)
    assert UserCredential.objects.get().status == "revoked"


@pytest.mark.parametrize("award_once", [False, True])
def test_what_was_reset_counts_no_more_and_is_earned_again_unless_the_badge_is_awarded_once(
    template, passing, award_once
):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY}, award_once=award_once)
    algebra, botany = ({"course_key": course, "lms_user_id": 5} for course in (ALGEBRA, BOTANY))
    pipeline.handle([passing(**algebra), passing(**botany)])
    UserCredential.objects.update(**REVOKED)
    Fulfillment.objects.update(active_key=None, reset_at=NOON, reset_kind="event")
    BadgeProgress.objects.update(completed_at=None)

    half = pipeline.handle([passing(**algebra)])
    whole = pipeline.handle([passing(**botany)])

    assert (half.awarded, whole.awarded) == (0, 0 if award_once else 1)
    assert Fulfillment.objects.filter(active_key=None).count() == Fulfillment.objects.exclude(active_key=None).count()


def test_one_event_that_fails_does_not_stop_its_batch(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    failing = passing(course_key=ALGEBRA, lms_user_id=2**70, username="too-big")
    batch = [passing(course_key=ALGEBRA, lms_user_id=number, username=f"u{number}") for number in range(1, 6)]

    result = pipeline.handle([*batch[:2], failing, *batch[2:]])

    assert UserCredential.objects.count() == 5
    assert result.awarded == 5
    assert result.dead + result.rescheduled == 1


# --- the same id from two sources ------------------------------------------------------------------------------------


def test_two_events_of_one_id_from_two_sources_both_count(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    first = passing(course_key=ALGEBRA, lms_user_id=1, username="u1")
    second = replace(
        passing(course_key=ALGEBRA, lms_user_id=2, username="u2"), id=first.id, source="openedx/school/web"
    )

    together = pipeline.handle([first, second, first])
    again = pipeline.handle([second])

    assert (together.awarded, together.duplicates, again.duplicates) == (2, 1, 1)
    causes = UserCredential.objects.values_list("cause_event_source", "cause_event_id")
    assert set(causes) == {(first.source, first.id), ("openedx/school/web", first.id)}


def test_pending_events_of_one_id_from_two_sources_are_both_decided(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    first = passing(course_key=ALGEBRA, lms_user_id=1, username="u1")
    second = replace(
        passing(course_key=ALGEBRA, lms_user_id=2, username="u2"), id=first.id, source="openedx/school/web"
    )
    pipeline.receive(first)
    pipeline.receive(second)

    assert pipeline.process_pending().awarded == 2


def test_an_unreadable_event_cannot_take_the_identity_of_an_event(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA)
    pipeline.handle([Unreadable(event.id, "not JSON", received_from="file:events.jsonl:3")])

    assert pipeline.handle([event]).awarded == 1
