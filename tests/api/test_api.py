"""What developers of the host and of other plugins rely on."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from badges import api, pipeline
from badges.intake.models import InboxMessage, Learner
from badges.outbox.models import OutboxMessage
from badges.progress.models import Fulfillment
from tests.factories import make_passing, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


@pytest.fixture
def half_way(settings: Any) -> None:
    """Learner 41 passed algebra, failed botany at first, and both are needed."""
    settings.LMS_BADGES_CONFIG = {"keep_unmatched": True}
    make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    pipeline.handle(
        [
            make_passing(course_key=ALGEBRA, lms_user_id=41, username="marsupilami"),
            make_passing(course_key=BOTANY, lms_user_id=41, username="marsupilami", is_passing=False),
        ]
    )


def test_an_explanation_names_what_is_open_and_what_the_near_miss_lacked(half_way):
    explained = api.explain(41, "both")

    assert (explained.completion.satisfied, explained.completion.total) == (1, 2)
    assert explained.credentials == []
    algebra, botany = explained.requirements
    assert [row.cause_event_type for row in algebra.fulfillments] == [algebra.requirement.event_type]
    assert botany.fulfillments == []
    near_miss = next(evaluation for evaluation in botany.evaluations if evaluation.steps[1].result)
    assert [(step.path, step.operand, step.observed) for step in near_miss.steps if not step.result] == [
        ("is_passing", True, False)
    ]


def test_a_near_miss_of_a_person_who_never_met_a_requirement_is_explained(half_way, settings):
    settings.LMS_BADGES_CONFIG = {"keep_unmatched": True, "user_lms_id_field": "last_name"}
    pipeline.handle([make_passing(course_key=BOTANY, lms_user_id=52, username="houba", is_passing=False)])
    houba = get_user_model().objects.create(username="houba", last_name="52")

    for person in (52, "52", houba):
        explained = api.explain(person, "both")
        assert explained.learner is None
        assert [len(requirement.evaluations) for requirement in explained.requirements] == [1, 1]


def test_an_explanation_of_an_award_names_event_and_revision(half_way):
    event = make_passing(course_key=BOTANY, lms_user_id=41, username="marsupilami")
    pipeline.handle([event])

    (credential,) = api.explain("marsupilami", "both").credentials

    assert (credential.cause_event_id, credential.revision.number) == (event.id, 1)


def test_an_unknown_person_is_explained_too(half_way):
    explained = api.explain("nobody", "both")

    assert explained.learner is None
    assert not explained.completion.complete


def test_a_person_can_be_named_in_every_way(half_way):
    pipeline.handle([make_passing(course_key=BOTANY, lms_user_id=41, username="marsupilami")])
    learner = api.learner_of(41)
    user = get_user_model().objects.get(username="marsupilami")

    found = {api.credentials_of(person).get().pk for person in (41, "41", "marsupilami", user, learner)}

    assert len(found) == 1
    assert not api.credentials_of("mars\0upilami").exists()


def test_people_the_lms_names_are_found_or_created_in_bulk(half_way):
    people = [api.LearnerData(number, True, f"u{number}", f"u{number}@example.com", f"U {number}") for number in (7, 8)]
    known = api.LearnerData(41, True, "renamed-meanwhile", None, None)
    stranger = api.LearnerData(9, True, None, None, None)

    admitted = api.get_or_create_learners([*people, known, stranger])

    assert set(admitted) == {7, 8, 41}
    assert admitted[41].user.get_username() == "marsupilami"


def test_an_enqueued_message_is_stored_only_if_the_transaction_commits():
    with transaction.atomic():
        api.enqueue("mail", "12", {"credential": "x"}, type="certificate")
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()

    with transaction.atomic():
        api.enqueue("mail", "12", {"credential": "x"}, type="certificate")
    assert OutboxMessage.objects.values_list("channel", "key", "type").get() == ("mail", "12", "certificate")

    with pytest.raises(transaction.TransactionManagementError):
        api.enqueue("mail", "12", {})


def test_a_retired_person_leaves_history_without_personal_data(half_way):
    waiting = make_passing(course_key=BOTANY, lms_user_id=41, username="marsupilami")
    pipeline.receive(waiting)

    assert api.retire("marsupilami").total

    for row in InboxMessage.objects.all():
        assert (row.lms_user_id, row.payload) == (None, None)
    assert pipeline.process_pending().seen == 0
    assert Learner.objects.values_list("lms_user_id", "user").get() == (None, None)
    assert Fulfillment.objects.count() == 1
    assert not api.retire("marsupilami").total
