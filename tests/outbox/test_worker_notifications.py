"""Notifying workers: through a real broker, and without one."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from redis import Redis as Client

from badges.outbox import mailbox, worker_notifications
from badges.outbox.mailbox import NewMessage
from tests.services import Redis

MESSAGE = NewMessage("announce", "7", "badge.awarded", {"credential": "c-1"})


@pytest.fixture
def sent(redis: Redis, settings: Any) -> Iterator[Any]:
    """Names of the tasks that arrived at a real Redis."""
    client = Client.from_url(redis.url)
    client.flushall()
    settings.CELERY_BROKER_URL = redis.url
    yield lambda: [json.loads(task)["headers"]["task"] for task in client.lrange("celery", 0, -1)]
    client.flushall()
    client.close()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def seconds_to_commit() -> float:
    began = time.perf_counter()
    with transaction.atomic():
        mailbox.post([MESSAGE])
    return time.perf_counter() - began


@pytest.mark.django_db(transaction=True)
def test_a_transaction_wakes_one_worker_however_often_it_posts(sent: Any) -> None:
    with transaction.atomic():
        mailbox.post([MESSAGE])
        with transaction.atomic():
            mailbox.post([MESSAGE, MESSAGE])
        worker_notifications.notify_worker_on_commit(worker_notifications.PROCESS_PENDING)
        mailbox.post([MESSAGE])
        assert sent() == []
    assert sorted(sent()) == ["badges.deliver", "badges.process_pending"]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_wakes_nobody_and_what_is_not_still_does(sent: Any) -> None:
    with transaction.atomic():
        with transaction.atomic():
            mailbox.post([MESSAGE])
            transaction.set_rollback(True)
        assert sent() == []
        mailbox.post([MESSAGE])
    assert sent() == ["badges.deliver"]
    with transaction.atomic():
        mailbox.post([MESSAGE])
        transaction.set_rollback(True)
    assert sent() == ["badges.deliver"]


@pytest.mark.django_db(transaction=True)
def test_nobody_is_woken_when_settings_say_no(sent: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"notify_workers": False}}
    seconds_to_commit()
    assert sent() == []


@pytest.mark.django_db(transaction=True)
def test_a_host_that_runs_tasks_eagerly_does_not_deliver_inside_of_a_decision(
    sent: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = True
    seconds_to_commit()
    assert sent() == []
    assert "badges_drain" in caplog.text


def test_a_host_without_a_broker_wakes_nobody() -> None:
    assert not worker_notifications.is_wanted()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_dead_broker_neither_fails_nor_delays_a_commit(
    scheme: str, settings: Any, dead_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CELERY_BROKER_URL = f"{scheme}://127.0.0.1:{dead_port}/0"
    seconds = [seconds_to_commit() for _ in range(20)]
    assert sum(seconds) < 10
    assert caplog.text.count("No worker was notified") == 1  # once, and quiet for a while


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_does_not_answer_costs_a_moment_once(
    scheme: str, settings: Any, silent_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CELERY_BROKER_URL = f"{scheme}://127.0.0.1:{silent_port}/0"
    first, *others = [seconds_to_commit() for _ in range(20)]
    assert first + sum(others) < 10  # twenty waits would be twice that
    assert caplog.text.count("No worker was notified") == 1


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_misspelt_is_named_and_fails_nobody(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.CELERY_BROKER_URL = "rediss-typo://127.0.0.1/0"
    seconds_to_commit()
    assert "CELERY_BROKER_URL cannot be used" in caplog.text
