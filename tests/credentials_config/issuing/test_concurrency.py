"""Many workers at once: on every database, each learner gets one credential."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from credentials_config.contracts import Context, Person
from credentials_config.issuing import generation, new_credentials, run_queue, runs
from credentials_config.models import Credential, CredentialRun, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.factories import ALGEBRA
from tests.support.certificates import NOW, add_algebra, assert_one_each, configure_certificate, run, waiting

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run these in threads that begin together, and return their results; raises what one of them raised."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def go(index: int, work: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[index] = work()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(index, work)) for index, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def test_two_schedules_and_a_person_at_once_give_each_learner_one_credential(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=12)
    configuration = configure_certificate()

    def work(cause: RunCause) -> Callable[[], int]:
        def do() -> int:
            asked = run_queue.request(configuration, cause=cause)
            claimed = run_queue.claim(run=asked)
            if claimed is not None:
                runs.carry_out(claimed)
            return generation.make_due().made

        return do

    made = at_once(work(RunCause.SCHEDULE), work(RunCause.SCHEDULE), work(RunCause.PERSON))
    generation.make_due()
    assert sum(made) <= 12
    assert_one_each(learners=12)
    assert len(waiting("credential-mail")) == 12
    assert not CredentialRun.objects.filter(run__active_key="active").exists()


def test_the_database_allows_one_active_credential_even_if_runs_overlap(lms: LmsStandIn) -> None:
    """Runs do not overlap; if they did all the same, each learner still had one active credential."""
    add_algebra(lms, finished=1)
    configuration = configure_certificate()
    people = [
        Person(number, f"person-{number}", f"{number}@example.org", f"Person {number}") for number in range(1, 41)
    ]

    def write(order: list[Person]) -> Callable[[], None]:
        def do() -> None:
            from badges.database import retry_transient  # noqa: PLC0415

            def once() -> None:
                with transaction.atomic():
                    new_credentials.write(configuration, order, Context(ALGEBRA, "Algebra"), {}, now=NOW)

            retry_transient(once, give_up_seconds=30)

        return do

    at_once(write(people), write(people[::-1]), write(people[10:] + people[:10]))
    assert Credential.objects.count() == 40
    assert Credential.objects.values("learner").distinct().count() == 40


def test_many_workers_share_documents_and_make_each_once(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"batch": 3}}
    add_algebra(lms, finished=30, unfinished=0)
    done = run(configure_certificate(options={"text_generator": {"seconds": 0.01}}))
    made = at_once(*[lambda: generation.make_due(now=NOW).made for _ in range(4)])
    assert sum(made) + generation.make_due(now=NOW).made == 30
    assert_one_each(learners=30)
    done.refresh_from_db()
    assert (done.issued, done.failed) == (30, 0)
    assert len(waiting("credential-mail")) == 30
