"""Many workers award the same badges at once: each learner gets one credential and one announcement."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections

from badges import api
from badges.exceptions import AlreadyHeldError
from badges.models import OutboxMessage, UserCredential
from tests.factories import LearnerFactory, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

WORKERS = 8


def test_of_parallel_awards_one_makes_a_credential_and_the_others_say_that_it_is_held() -> None:
    learners, slug = [LearnerFactory() for _ in range(5)], make_template().slug
    gate = threading.Barrier(WORKERS)
    outcomes: list[str] = []

    def work() -> None:
        try:
            connection.ensure_connection()
            gate.wait(20)
            for learner in learners:
                try:
                    api.award(learner, slug)
                    outcomes.append("awarded")
                except AlreadyHeldError:
                    outcomes.append("held")
        except Exception as error:
            outcomes.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(set(outcomes)) == ["awarded", "held"]
    assert outcomes.count("awarded") == len(learners)
    assert len(outcomes) == WORKERS * len(learners)
    assert UserCredential.objects.filter(active_key="active").count() == len(learners)
    assert OutboxMessage.objects.filter(channel="announce", type="badge.awarded").count() == len(learners)
