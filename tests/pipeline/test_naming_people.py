"""What a learner relies on: they get the badge, in whichever way an event names them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from badges import api, pipeline
from badges.awarding.models import UserCredential
from badges.catalog.event_types import LearnerData
from badges.exceptions import Permanent
from badges.history import event_log
from badges.history.models import LoggedEvent
from badges.intake.events import Event, parse_event
from badges.intake.learners import give_account, look_up
from badges.intake.models import InboxMessage, Learner, LearnerIdentity
from tests.factories import make_template, rule
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

QUIZ = "com.acme.quiz.solved.v1"
ALGEBRA = "course-v1:Uni+Algebra+1"
ISSUER = "https://id.example.org/realms/school"


@pytest.fixture
def named_by(settings, acme):
    """Return a function that sets the learner path of the quiz, and makes a badge for 5 points."""

    def configure(path: str) -> None:
        passing = "org.openedx.learning.course.passing.status.updated.v1"
        settings.LMS_BADGES_CONFIG = {
            "events": [QUIZ, passing],
            "signal_modules": [acme],
            "learner_paths": {QUIZ: path},
        }
        requirement = {"key": "quiz", "event_type": QUIZ, "rules": [rule("points", "gte", 5)]}
        make_template(slug="quizzer", requirements=[requirement])

    return configure


_ids = iter(range(1, 10_000))


def quiz(*, number: int = 0, student: str = "", points: int = 5) -> Event:
    envelope = {
        "id": f"quiz-{next(_ids)}",
        "source": "acme",
        "type": QUIZ,
        "time": "2026-03-01T09:30:00Z",
        "data": {"quiz": {"player": number, "student": student, "points": points}},
    }
    return parse_event(json.dumps(envelope), received_from="test")


def account(username: str, **given: Any) -> Any:
    return get_user_model().objects.create(username=username, **given)


def test_an_lms_user_id_alone_finds_a_learner_who_is_known(named_by):
    named_by("quiz.player")
    learner = Learner.objects.create(lms_user_id=41)

    result = pipeline.handle([quiz(number=41)])

    assert (result.awarded, UserCredential.objects.get().learner) == (1, learner)


def test_an_unknown_lms_user_id_alone_makes_nobody_and_is_counted(named_by):
    named_by("quiz.player")

    result = pipeline.handle([quiz(number=41)])

    assert (result.awarded, result.ignored) == (0, {(QUIZ, "no learner"): 1})
    assert not Learner.objects.exists()
    assert not get_user_model().objects.exists()
    assert not InboxMessage.objects.exists()


def test_a_username_finds_the_account_and_makes_its_learner(named_by):
    named_by("username:quiz.student")
    zoe = account("zoe")

    result = pipeline.handle([quiz(student="zoe"), quiz(student="nobody")])

    assert (result.awarded, result.ignored) == (1, {(QUIZ, "no learner"): 1})
    assert UserCredential.objects.get().learner.user == zoe
    assert list(get_user_model().objects.all()) == [zoe]


def test_a_learner_found_by_username_gets_the_lms_user_id_from_a_later_event(named_by, passing):
    named_by("username:quiz.student")
    account("zoe")
    pipeline.handle([quiz(student="zoe")])
    make_template(slug="passed")

    pipeline.handle([passing(course_key="course-v1:Demo+Algebra+2026", lms_user_id=41, username="zoe")])

    assert Learner.objects.get().lms_user_id == 41
    assert UserCredential.objects.count() == 2


def test_one_person_who_is_named_in_two_ways_in_one_batch_is_one_learner(named_by, passing):
    named_by("username:quiz.student")
    make_template(slug="passed")
    algebra = "course-v1:Demo+Algebra+2026"
    account("zoe")
    Learner.objects.create(lms_user_id=42)
    account("kim")

    result = pipeline.handle(
        [
            *(quiz(student=name) for name in ("zoe", "kim", "new")),
            passing(course_key=algebra, lms_user_id=41, username="zoe"),  # an account, no learner
            passing(course_key=algebra, lms_user_id=42, username="kim"),  # an account, and a learner without it
            passing(course_key=algebra, lms_user_id=43, username="new"),  # neither
        ]
    )

    assert (result.awarded, result.dead) == (6, 0)
    learners = Learner.objects.order_by("lms_user_id").values_list("lms_user_id", "user__username")
    assert list(learners) == [(41, "zoe"), (42, "kim"), (43, "new")]


def test_an_identity_at_another_system_finds_its_learner_and_nobody_else(named_by):
    named_by(f"external:{ISSUER}:quiz.student")
    learner = Learner.objects.create(lms_user_id=41)
    LearnerIdentity.objects.create(issuer=ISSUER, subject="s-1", learner=learner)
    LearnerIdentity.objects.create(issuer="https://other.example.org", subject="s-2", learner=learner)

    result = pipeline.handle([quiz(student="s-1"), quiz(student="s-2"), quiz(student="S-1"), quiz(student="")])

    assert (result.matched, result.awarded) == (1, 1)
    assert result.ignored == {(QUIZ, "no learner"): 3}
    assert UserCredential.objects.get().learner == learner
    assert list(api.credentials_of(api.ExternalIdentity(ISSUER, "s-1"))) == [UserCredential.objects.get()]


def test_an_event_that_names_a_known_person_by_another_name_is_logged_for_them(named_by):
    named_by(f"external:{ISSUER}:quiz.student")
    known, nameless = Learner.objects.create(lms_user_id=41), Learner.objects.create()
    for subject, learner in (("s-1", known), ("s-2", nameless)):
        LearnerIdentity.objects.create(issuer=ISSUER, subject=subject, learner=learner)
    events = [quiz(student=student, points=points) for student in ("s-1", "s-2", "s-3") for points in (1, 5)]

    pipeline.handle(events[::2])
    for event in events[1::2]:
        pipeline.receive(event)
    pipeline.process_pending()

    people = [event_log.person_key(41), event_log.person_key(None, nameless.pk)]
    logged = [{row.event_id for row in event_log.events_of(person)} for person in people]
    assert logged == [{events[0].id, events[1].id}, {events[2].id, events[3].id}]
    assert LoggedEvent.objects.count() == 4


@pytest.mark.parametrize("path", ["username:quiz.student", f"external:{ISSUER}:quiz.student"])
def test_retiring_a_person_removes_their_events_and_names(named_by, path):
    named_by(path)
    learner = Learner.objects.create(user=account("zoe"), lms_user_id=41)
    LearnerIdentity.objects.create(issuer=ISSUER, subject="zoe", learner=learner)
    pipeline.handle([quiz(student="zoe")])
    pipeline.receive(quiz(student="zoe"))

    api.retire(learner)

    rows = InboxMessage.objects.values_list("payload", "name_digest")
    assert list(rows) == [(None, None), (None, None)]
    assert not LearnerIdentity.objects.exists()
    assert UserCredential.objects.get().learner == learner


def test_a_learner_without_account_gets_it_from_a_later_event(named_by, passing):
    named_by("quiz.player")
    make_template(slug="passed")
    (learner,) = api.get_or_create_learners([LearnerData(41, True, None, None, None)], without_account=True).values()
    pipeline.handle([quiz(number=41)])
    assert not get_user_model().objects.exists()

    pipeline.handle([passing(course_key="course-v1:Demo+Algebra+2026", lms_user_id=41, username="zoe")])

    learner.refresh_from_db()
    assert (learner.lms_user_id, learner.user.get_username()) == (41, "zoe")
    assert UserCredential.objects.filter(learner=learner).count() == 2


def test_a_learner_without_account_is_only_made_when_asked_for():
    assert api.get_or_create_learners([LearnerData(41, True, None, None, None)]) == {}
    assert not Learner.objects.exists()


def test_an_account_that_has_another_learner_stays_with_that_one(passing, caplog):
    make_template(slug="passed")
    other = Learner.objects.create(user=account("zoe"))
    learner = Learner.objects.create(lms_user_id=41)

    pipeline.handle([passing(course_key="course-v1:Demo+Algebra+2026", lms_user_id=41, username="zoe")])

    assert UserCredential.objects.get().learner == learner
    other.refresh_from_db()
    assert (other.user.get_username(), other.lms_user_id) == ("zoe", None)
    assert "has another learner" in caplog.text


def test_people_named_in_all_ways_are_looked_up_with_four_statements_and_made_with_five(settings):
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}
    account("zoe")
    account("kim", last_name="5")
    learner = Learner.objects.create(lms_user_id=1)
    LearnerIdentity.objects.create(issuer=ISSUER, subject="s-1", learner=learner)
    people = [
        LearnerData(1, True, "spip", None, None),  # a learner without account
        LearnerData(5, True, None, None, None),
        LearnerData(6, True, "new", None, None),
        LearnerData(None, True, "zoe", None, None),
        LearnerData(None, True, None, None, None, api.ExternalIdentity(ISSUER, "s-1")),
    ]

    with counted_statements() as looking:
        look_up(people)
    with counted_statements() as both:
        found = api.get_or_create_learners(people)

    assert len(looking) <= 4, looking  # one of them because there are accounts without a learner
    work = [statement for statement in both if statement.split()[0] in ("SELECT", "INSERT", "UPDATE")]
    assert len(work) <= 3 + 5 + 1, work
    assert found.keys() == {person.key for person in people}
    assert found[1] == found[api.ExternalIdentity(ISSUER, "s-1")]


# Retired people whose account the host keeps


def test_an_event_by_username_does_not_bring_back_a_person_whose_account_was_kept(named_by) -> None:
    named_by("username:quiz.student")
    account("marsupilami")
    pipeline.handle([quiz(student="marsupilami")])
    api.retire("marsupilami")

    result = pipeline.handle([quiz(student="marsupilami"), quiz(student="nobody")])

    assert +result.ignored == {(QUIZ, "retired"): 1, (QUIZ, "no learner"): 1}
    assert [(learner.lms_user_id, learner.user_id) for learner in Learner.objects.all()] == [(None, None)]
    assert not LoggedEvent.objects.exists()


def test_a_person_who_had_no_learner_is_remembered_by_their_account(named_by) -> None:
    named_by("username:quiz.student")
    account("marsupilami")
    account("houba")
    api.retire("marsupilami")
    assert not Learner.objects.exists()

    pipeline.handle([quiz(student="marsupilami"), quiz(student="houba")])

    assert Learner.objects.get().user.username == "houba"


def test_a_person_retired_by_lms_user_id_is_not_brought_back_by_their_username(named_by) -> None:
    named_by("username:quiz.student")
    api.get_or_create_learners([LearnerData(41, True, "marsupilami", None, None)])
    api.retire(41)

    pipeline.handle([quiz(student="marsupilami")])

    assert [(learner.lms_user_id, learner.user_id) for learner in Learner.objects.all()] == [(None, None)]


def test_nor_does_the_first_event_that_tells_their_lms_user_id(named_by) -> None:
    named_by("username:quiz.student")
    account("marsupilami")
    pipeline.handle([quiz(student="marsupilami")])
    api.retire("marsupilami")

    assert api.get_or_create_learners([LearnerData(41, True, "marsupilami", None, None)]) == {}

    assert not Learner.objects.exclude(lms_user_id=None, user=None).exists()


def test_a_learner_who_was_not_retired_does_not_get_the_account_of_one_who_was(named_by) -> None:
    named_by("username:quiz.student")
    account("marsupilami")
    pipeline.handle([quiz(student="marsupilami")])
    other = Learner.objects.create(lms_user_id=41)
    api.retire("marsupilami")

    found = api.get_or_create_learners([LearnerData(41, True, "marsupilami", None, None)])

    assert found == {41: other}
    assert found[41].user_id is None


# One person with two learners


@pytest.fixture
def two_learners(named_by) -> tuple[Learner, Learner]:
    """Return the learner who has the LMS user id and the one who has the account, after an event told that."""
    named_by("username:quiz.student")
    account("marsupilami")
    pipeline.handle([quiz(student="marsupilami")])
    by_name = Learner.objects.get()
    by_id = Learner.objects.create(lms_user_id=41)
    assert api.get_or_create_learners([LearnerData(41, True, "marsupilami", None, None)]) == {41: by_id}
    by_id.refresh_from_db()
    return by_id, by_name


def test_that_one_person_has_two_learners_is_noted_once(two_learners, caplog) -> None:
    by_id, by_name = two_learners
    assert (by_id.account_learner, by_id.user, by_name.account_learner) == (by_name, None, None)
    caplog.clear()
    api.get_or_create_learners([LearnerData(41, True, "marsupilami", None, None)])
    assert not caplog.records


def test_the_account_is_given_to_the_learner_who_has_the_lms_user_id(two_learners) -> None:
    by_id, by_name = two_learners
    give_account(by_id)

    by_id.refresh_from_db()
    by_name.refresh_from_db()
    assert (by_id.user.username, by_id.account_learner, by_name.user) == ("marsupilami", None, None)
    assert UserCredential.objects.get().learner == by_name  # its history stays
    assert api.learner_of("marsupilami") == by_id
    with pytest.raises(Permanent, match="Nothing was changed"):
        give_account(by_id)


@pytest.mark.parametrize("name", ["marsupilami", 41])
def test_both_learners_of_a_person_are_retired_and_neither_comes_back(two_learners, name: Any) -> None:
    api.retire(name)

    assert set(Learner.objects.values_list("lms_user_id", "user", "account_learner")) == {(None, None, None)}
    assert api.get_or_create_learners([LearnerData(41, True, "other", None, None)]) == {}
    pipeline.handle([quiz(student="marsupilami")])
    assert Learner.objects.count() == 2
