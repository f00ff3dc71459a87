"""What an operator relies on: concurrent consumers and database errors lose nothing and count nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, OperationalError, connection, transaction

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.catalog.event_types import LearnerData
from badges.exceptions import Retryable
from badges.intake import learners
from badges.intake.models import InboxMessage, Learner
from badges.outbox.models import OutboxMessage
from badges.progress.models import Fulfillment
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run works at the same time; return what they returned, and raise what they raised."""
    outcomes = outcomes_at_once(works)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def handling(batch: Sequence[object]) -> Callable[[], object]:
    return lambda: pipeline.handle(batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("round_", range(5))
def test_concurrent_events_of_one_new_learner_give_one_credential(template, passing, round_):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    same = passing(course_key=ALGEBRA, lms_user_id=3, username="spip")
    others = [passing(course_key=course, lms_user_id=3, username="spip") for course in (ALGEBRA, BOTANY, BOTANY)]

    results = at_once(handling([same]), handling([same, others[0]]), handling([others[1]]), handling([others[2]]))

    assert sum(result.awarded for result in results) == 1  # type: ignore[attr-defined]
    assert Learner.objects.count() == UserCredential.objects.count() == OutboxMessage.objects.count() == 1
    assert Fulfillment.objects.count() == 2
    assert InboxMessage.objects.filter(state="processed").count() == 4


def test_big_batches_of_the_same_learners_in_different_orders_do_not_deadlock(template, passing):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    people = [{"lms_user_id": number, "username": f"spirou-{number}"} for number in range(1, 61)]
    algebra = [passing(course_key=ALGEBRA, **person) for person in people]
    botany = [passing(course_key=BOTANY, **person) for person in reversed(people)]

    at_once(handling(algebra), handling(botany), handling(list(reversed(algebra))), handling(botany[30:] + botany[:30]))

    assert UserCredential.objects.count() == 60
    assert Fulfillment.objects.count() == InboxMessage.objects.filter(state="processed").count() == 120


def test_a_batch_with_a_transient_database_error_is_tried_again_as_a_whole(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    stumbles = iter([True, True, False])

    def stumble(execute, sql, params, many, context):
        if sql.startswith("INSERT INTO") and "usercredential" in sql and next(stumbles, False):
            raise deadlock()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(stumble):
        result = pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=n, username=f"u{n}") for n in (1, 2)])

    assert (result.awarded, result.dead, result.rescheduled) == (2, 0, 0)
    assert not InboxMessage.objects.filter(attempts__gt=0).exists()


def deadlock() -> OperationalError:
    """A deadlock, as this database reports it."""
    words = {"sqlite": ("database is locked",), "mysql": (1213, "Deadlock found")}
    return OperationalError(*words.get(connection.vendor, ("deadlock detected",)))


def test_a_database_that_stays_down_ends_in_an_error_and_nothing_is_acknowledged(template, passing, settings):
    settings.LMS_BADGES_CONFIG = {"intake": {"give_up_seconds": 0.2}}
    template("star", {"key": "pass", "course": ALGEBRA})

    def down(execute, sql, params, many, context):
        raise deadlock()

    with connection.execute_wrapper(down), pytest.raises(Retryable, match="did not answer"):
        pipeline.handle([passing(course_key=ALGEBRA)])

    assert not InboxMessage.objects.exists()


def test_an_event_that_fails_alone_is_tried_later_and_then_becomes_a_dead_letter(template, passing, settings):
    settings.LMS_BADGES_CONFIG = {"intake": {"max_attempts": 2}, "delivery": {"base_delay": 0}}
    template("star", {"key": "pass", "course": ALGEBRA})

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT INTO") and "fulfillment" in sql and len(params) < 20:
            raise ValueError("a bug; the message might quote spip")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        first = pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=1, username="spip")])
        second = pipeline.process_pending()

    row = InboxMessage.objects.get()
    assert (first.rescheduled, second.dead, row.state, row.attempts) == (1, 1, "dead", 2)
    assert "ValueError" in row.reason
    assert "spip" not in row.reason


def test_an_account_that_two_lms_users_ask_for_at_once_stays_with_the_first():
    get_user_model().objects.create(username="zoe")
    first, second = (learners.look_up([person(number, "zoe")]) for number in (1, 2))

    with transaction.atomic():
        learners.get_or_create(first, [1])
    with pytest.raises(IntegrityError), transaction.atomic():
        learners.get_or_create(second, [2])

    assert Learner.objects.get(user__username="zoe").lms_user_id == 1


def test_a_learner_who_was_retired_since_they_were_looked_up_is_looked_up_again():
    zoe = Learner.objects.create(lms_user_id=1)
    lookup = learners.look_up([person(1, "zoe")])
    learners.retire(zoe)

    with pytest.raises(IntegrityError), transaction.atomic():
        learners.get_or_create(lookup, [1])


def person(lms_user_id: int, username: str) -> LearnerData:
    return LearnerData(lms_user_id=lms_user_id, username=username, email=None, name=None, is_active=True)
