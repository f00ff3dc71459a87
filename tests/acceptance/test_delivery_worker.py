"""
Delivery by a real Celery worker with a real Redis, to a stand-in for Credly in a separate process.

The test decides events, as a consumer would, and checks the result. Everything else happens in other processes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Client

from badges.issuers.credly.models import CredlyBadge
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from badges.testing.credly import CredlyProcess
from tests.acceptance.delivery_helpers import (
    assert_one_badge_each,
    host_env,
    issued_template,
    pass_course,
    wait_for,
    wait_until_delivered,
)
from tests.services import Redis
from tests.services.databases import test_database_url
from tests.services.processes import Process, python_process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(redis: Redis, settings: Any) -> Iterator[Redis]:
    """Let decisions of this process notify workers."""
    client = Client.from_url(redis.url)
    client.flushall()
    settings.CELERY_BROKER_URL = redis.url
    yield redis
    redis.start()
    client.flushall()
    client.close()


@pytest.fixture
def worker(
    credly: CredlyProcess, broker: Redis, tmp_path: Path, run_celery: Callable[..., Process]
) -> Callable[..., Process]:
    """Start a worker; with ``sweep_seconds`` it also runs beat."""

    def start(*, processes: int = 1, sweep_seconds: float | None = None, **delivery: Any) -> Process:
        beat = ["--beat", "--schedule", str(tmp_path / "beat")] if sweep_seconds else []
        env = host_env(credly, sweep_seconds=sweep_seconds, **delivery)
        process = run_celery("worker", "-c", str(processes), "-l", "INFO", *beat, env=env)
        process.wait_for("ready.")
        return process

    return start


@pytest.fixture
def run_python(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start Python with these arguments on the test database."""
    processes: list[Process] = []

    def run(*arguments: str, env: dict[str, str]) -> Process:
        log = tmp_path / f"python-{len(processes)}.log"
        processes.append(python_process(*arguments, log=log, database_url=test_database_url(), env=env))
        return processes[-1]

    yield run
    for process in processes:
        process.ensure_gone()


def test_a_worker_issues_and_announces_what_was_just_decided(
    credly: CredlyProcess, worker: Callable[..., Process]
) -> None:
    process = worker()
    issued_template(credly)
    assert pass_course(1, 2, 3).awarded == 3
    wait_until_delivered(process)  # notified: nothing sweeps here
    assert_one_badge_each(credly, learners=3)
    assert OutboxMessage.objects.filter(channel="announce", state=OutboxState.DELIVERED).count() == 3


def test_a_provider_that_is_down_at_first_and_then_up_has_the_badges(
    credly: CredlyProcess, worker: Callable[..., Process]
) -> None:
    process = worker()
    issued_template(credly)
    credly.break_down()
    pass_course(1, 2)
    process.wait_until(lambda: len(credly.calls) >= 2, what="two refused requests")
    assert credly.badges == []
    credly.recover()
    wait_until_delivered(process)
    assert_one_badge_each(credly, learners=2)


def test_nobody_is_asked_again_before_the_time_they_asked_for(
    credly: CredlyProcess, worker: Callable[..., Process]
) -> None:
    process = worker()
    issued_template(credly)
    credly.throttle(retry_after=4, times=1)
    pass_course(1)
    wait_until_delivered(process)
    first, second = [call.at for call in credly.calls if call.endpoint == "issue"]
    assert (second - first).total_seconds() >= 4


def test_while_a_provider_is_down_it_is_left_alone_and_then_everybody_is_served(
    credly: CredlyProcess, worker: Callable[..., Process]
) -> None:
    process = worker(sweep_seconds=0.5)
    issued_template(credly)
    credly.break_down()
    began = time.monotonic()
    pass_course(*range(1, 41))
    process.wait_until(lambda: Circuit.objects.exclude(open_until=None).exists(), what="an open circuit")
    time.sleep(4)
    # 40 learners and some seconds of sweeps, but five failures opened the circuit, and one probe a second followed.
    untried = OutboxMessage.objects.filter(channel="credly", attempts=0).count()
    calls = len(credly.calls)
    assert 5 <= calls <= 8 + (time.monotonic() - began)
    assert untried >= 40 - calls
    credly.recover()
    wait_until_delivered(process)
    assert_one_badge_each(credly, learners=40)
    assert not Circuit.objects.exclude(open_until=None).exists()


@pytest.mark.tables
def test_a_worker_killed_between_the_answer_and_our_commit_leaves_one_badge_bound_once(
    credly: CredlyProcess, worker: Callable[..., Process]
) -> None:
    doomed = worker()
    issued_template(credly, allows_duplicates=True)  # so that nothing but our own care keeps it single
    credly.slow_down(seconds=30, on="issue", times=1)
    pass_course(1)
    doomed.wait_until(lambda: credly.badges, what="a badge at Credly")
    os.killpg(doomed.pid, signal.SIGKILL)
    assert CredlyBadge.objects.get().external_uuid is None
    heir = worker(sweep_seconds=0.5)
    wait_until_delivered(heir)
    assert_one_badge_each(credly, learners=1)
    assert credly.counts["issue"] == 1


def test_the_sweep_finds_what_a_dead_broker_missed(
    credly: CredlyProcess, broker: Redis, worker: Callable[..., Process]
) -> None:
    issued_template(credly)
    broker.stop()
    began = time.monotonic()
    assert pass_course(1, 2).awarded == 2
    assert pass_course(3).awarded == 1
    assert time.monotonic() - began < 30  # a dead broker delays no decision
    broker.start()
    assert credly.badges == []
    process = worker(sweep_seconds=0.5)
    wait_until_delivered(process)
    assert_one_badge_each(credly, learners=3)


@pytest.mark.tables
def test_four_workers_and_a_drain_ask_for_each_badge_once(
    credly: CredlyProcess, worker: Callable[..., Process], run_manage: Callable[..., Process]
) -> None:
    process = worker(processes=4, sweep_seconds=0.2)
    drain = run_manage("badges_drain", "--forever", env=host_env(credly))
    drain.wait_for("Working through both mailboxes")
    issued_template(credly, allows_duplicates=True)
    credly.slow_down(seconds=0.05, on="issue")
    for batch in range(6):
        pass_course(*range(batch * 10 + 1, batch * 10 + 11))
    wait_until_delivered(process)
    assert drain.terminate() == 0
    assert credly.counts["issue"] == 60
    assert_one_badge_each(credly, learners=60)


def test_all_badges_of_a_learner_are_issued_after_a_provider_that_failed_at_first(
    credly: CredlyProcess, worker: Callable[..., Process]
) -> None:
    first, second, third = (issued_template(credly) for _ in range(3))
    credly.break_down(times=3)
    pass_course(1)
    expected = [row.read()["credential"] for row in OutboxMessage.objects.filter(channel="credly")]
    assert len(expected) == 3
    process = worker(processes=2, sweep_seconds=0.2)
    wait_until_delivered(process)
    bound = {str(row.external_uuid): str(row.pk) for row in CredlyBadge.objects.all()}
    assert sorted(bound[badge.id] for badge in credly.badges) == sorted(expected)
    assert {first.pk, second.pk, third.pk} == {row.credential.template_id for row in CredlyBadge.objects.all()}


def test_a_host_without_a_celery_app_uses_ours(
    credly: CredlyProcess, broker: Redis, run_python: Callable[..., Process]
) -> None:
    env = {**host_env(credly), "CELERY_BROKER_URL": broker.url}
    process = run_python("-m", "celery", "-A", "badges", "worker", "-c", "1", "-l", "INFO", env=env)
    process.wait_for("ready.")
    issued_template(credly)
    pass_course(1)
    wait_until_delivered(process)
    assert_one_badge_each(credly, learners=1)


def test_a_worker_told_to_stop_finishes_the_row_at_hand(credly: CredlyProcess, worker: Callable[..., Process]) -> None:
    process = worker()
    issued_template(credly)
    credly.slow_down(seconds=2, on="issue", times=1)
    pass_course(1)
    process.wait_until(lambda: credly.badges, what="a badge at Credly")
    assert process.terminate() == 0
    assert str(CredlyBadge.objects.get().external_uuid) == credly.badges[0].id


def test_the_waits_between_tries_grow(credly: CredlyProcess, worker: Callable[..., Process]) -> None:
    process = worker(circuit_failures=1000, base_delay=0.4)
    issued_template(credly)
    credly.break_down(times=4, on="issue")
    pass_course(1)
    wait_until_delivered(process)
    times = [call.at for call in credly.calls if call.endpoint == "issue"]
    waits = [(after - before).total_seconds() for before, after in pairwise(times)]
    # At least half of the time for which it has failed, from half of 0.4 seconds up to half of the longest delay.
    failed_for = [(time - times[0]).total_seconds() for time in times]
    least = [min(max(seconds - 0.05, 0.4), 2.0) / 2 for seconds in failed_for[:-1]]
    assert [wait >= enough for wait, enough in zip(waits, least, strict=True)] == [True] * 4
    wait_for(lambda: CredlyBadge.objects.exclude(external_uuid=None).exists(), what="the badge's id")
