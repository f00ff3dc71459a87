"""What a person who was retired relies on: nothing brings them back, and no other person is touched."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from badges import api, pipeline
from badges.intake import learners
from badges.intake.events import Unreadable
from badges.intake.models import InboxMessage, InboxState, Learner, LearnerIdentity, RetiredPerson
from tests.factories import LearnerFactory, make_passing, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
TYPE = "org.openedx.learning.course.passing.status.updated.v1"


@pytest.fixture
def template() -> None:
    make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})


def passes(course: str = ALGEBRA, *, person: int = 41, name: str = "marsupilami", **more: Any) -> Any:
    return make_passing(course_key=course, lms_user_id=person, username=name, **more)


def test_a_late_event_does_not_bring_a_retired_person_back(template: None) -> None:
    pipeline.handle([passes()])
    api.retire(41)

    result = pipeline.handle([passes(BOTANY), passes(BOTANY, person=52, name="houba")])

    assert result.ignored == {(TYPE, "retired"): 1}
    assert list(Learner.objects.order_by("pk").values_list("lms_user_id", flat=True)) == [None, 52]
    assert not InboxMessage.objects.filter(lms_user_id=41).exists()


def test_a_person_without_a_learner_is_remembered_too(template: None) -> None:
    done = api.retire("41")

    assert (done.found, done.is_remembered, done.total) == (False, True, 0)
    assert not Learner.objects.exists()
    assert pipeline.handle([passes()]).ignored == {(TYPE, "retired"): 1}
    assert not get_user_model().objects.exists()


def test_an_event_that_waited_in_the_inbox_is_cleared_when_its_turn_comes(template: None) -> None:
    api.retire(41)
    pipeline.receive(passes())

    pipeline.process_pending()

    row = InboxMessage.objects.get()
    assert (row.state, row.reason, row.payload, row.lms_user_id) == (InboxState.UNMATCHED, "retired", None, None)


def test_unmatched_events_of_a_retired_person_are_not_kept(template: None, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"keep_unmatched": True}
    api.retire(41)

    result = pipeline.handle([passes(is_passing=False), passes(is_passing=False, person=52, name="houba")])

    assert list(InboxMessage.objects.values_list("lms_user_id", flat=True)) == [52]
    assert +result.ignored == {(TYPE, "retired"): 1, (TYPE, "no match"): 1}


def test_other_apps_that_name_people_do_not_get_a_retired_one_back() -> None:
    api.retire(41)
    people = [api.LearnerData(number, True, f"u{number}", None, None) for number in (41, 52)]

    assert set(api.get_or_create_learners(people)) == {52}


def test_a_person_who_is_retired_after_the_look_up_is_not_created(template: None, monkeypatch: Any) -> None:
    look_up = learners.look_up

    def then_retire(*args: Any, **kwargs: Any) -> Any:
        found = look_up(*args, **kwargs)
        api.retire(41)
        return found

    monkeypatch.setattr(learners, "look_up", then_retire)

    pipeline.handle([passes()])

    assert not Learner.objects.exists()
    assert not InboxMessage.objects.exclude(payload=None).exists()


def test_a_retired_person_is_recognised_after_the_key_was_replaced(template: None, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"retirement": {"keys": ["old"]}}
    api.retire(41)
    settings.LMS_BADGES_CONFIG = {"retirement": {"keys": ["new", "old"]}}
    assert pipeline.handle([passes()]).ignored == {(TYPE, "retired"): 1}
    settings.LMS_BADGES_CONFIG = {"retirement": {"keys": ["new"]}}
    assert pipeline.handle([passes()]).matched == 1


def test_nothing_that_is_stored_tells_the_lms_user_id(template: None) -> None:
    api.retire(987654321)

    assert "987654321" not in RetiredPerson.objects.get().digest


def test_a_plan_says_what_would_go_and_changes_nothing(template: None) -> None:
    pipeline.handle([passes()])

    planned = api.retire("marsupilami", plan=True)

    assert Learner.objects.get().lms_user_id == 41
    assert not RetiredPerson.objects.exists()
    assert planned == api.retire("marsupilami")
    assert planned.counts["lms_badges"]["events"] == 1


def test_dead_letters_that_name_nobody_lose_what_arrived_and_keep_where_it_was_read(template: None) -> None:
    pipeline.handle([unreadable()])
    place = InboxMessage.objects.values_list("event_id", "received_from", "reason").get()

    api.retire(41)

    assert InboxMessage.objects.get().payload is None
    assert InboxMessage.objects.values_list("event_id", "received_from", "reason").get() == place


def unreadable() -> Any:
    return Unreadable("file:x@7 abc", "not JSON", received_from="file:x:7", body="marsupilami@example.com {")


@pytest.mark.parametrize("subject", ["pac\u00a0ome", "pacome\u200b", " "], ids=ascii)
def test_a_person_with_an_id_that_no_event_can_have_is_retired(subject: str) -> None:
    learner = LearnerFactory()
    LearnerIdentity.objects.create(learner=learner, issuer="campus", subject=subject)

    assert api.retire(learner).found

    assert not LearnerIdentity.objects.exists()


def test_retiring_again_changes_nothing_more(template: None) -> None:
    pipeline.handle([passes()])
    learner = Learner.objects.get()
    assert api.retire(41).total == 2  # in the inbox and in the event log

    assert api.retire(41).total == 0
    assert api.retire(learner.uuid).total == 0
    assert api.retire(2**70).total == 0
