"""
The sticker flows from the outside: a real server is asked by HTTP, and the events are read from a real Kafka.

Nothing but the set-up and one look at a lock uses code of the product.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.db import transaction
from django.utils import timezone

from badges.models import IdempotentRequest, Learner
from tests.factories import LearnerFactory, make_template
from tests.services import Kafka, Service
from tests.services.processes import Process
from tests.services.service import free_port
from tests.support.json_topics import TopicsOnKafka, content
from tests.support.learner_factories import signed_in, somebody

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

ASSIGNED = "stickers.stickerAssignedToUser.v1"
REMOVED = "stickers.stickerRemovedFromUser.v1"


class Server:
    """A server of the reference host, and how people ask it."""

    def __init__(self, run: Callable[..., Process], env: dict[str, str]) -> None:
        self._run, self._env = run, env
        self.start()

    def start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = self._run("runserver", f"127.0.0.1:{port}", "--noreload", env=self._env)
        self.process.wait_until(self._answers, what="an answer")

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/schema/", timeout=30).ok
        except requests.ConnectionError:
            return False

    def visitor(self, user: Any = None) -> Callable[..., requests.Response]:
        """Return how somebody asks: ``ask("get", path)``."""
        session = requests.Session()
        session.headers["X-CSRFToken"] = session.cookies["csrftoken"] = "a" * 32
        if user is not None:
            session.cookies["sessionid"] = signed_in(user).cookies["sessionid"].value
        return lambda method, path, **given: session.request(method, f"{self.url}{path}", timeout=60, **given)


@pytest.fixture
def env() -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.acceptance.flow_host", "LOG_LEVEL": "INFO"}


@pytest.fixture
def service() -> Any:
    return somebody("award_usercredential", "revoke_usercredential", "view_usercredential")


def test_assign_event_user_record_remove_event_and_assign_again(
    kafka: Kafka, run_manage: Callable[..., Process], env: dict[str, str], service: Any
) -> None:
    topics = TopicsOnKafka(kafka)
    topics.create(ASSIGNED, REMOVED)
    learner = LearnerFactory()
    make_template(slug="helper", requirements=[], is_active=False)
    env |= {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EVENT_BUS_TOPIC_PREFIX": topics.prefix,
        "LMS_BADGES_CONFIG": json.dumps({"cloud_events": {"publish": [ASSIGNED, REMOVED]}}),
    }
    server = Server(run_manage, env)
    ask, learner_asks, stranger_asks = server.visitor(service), server.visitor(learner.user), server.visitor()
    account = str(learner.uuid)
    stickers, user = f"/api/award/v1/users/{account}/stickers", f"/api/users/v1/users/{account}"
    body = {"stickerId": "helper", "reason": "Helped everybody."}

    # Nobody gives a sticker who may not.
    assert stranger_asks("post", stickers, json=body).status_code == 401
    assert learner_asks("post", stickers, json=body).status_code == 403

    # Staff give it, once; the answer to a repeated request is that of the first one.
    keyed = {"Idempotency-Key": "8e03978e"}
    assigned = ask("post", stickers, json=body, headers=keyed)
    assert assigned.status_code == 201
    assert assigned.json().keys() == {"userId", "stickerId", "assignedAt"}
    repeated = ask("post", stickers, json=body, headers=keyed)
    assert (repeated.status_code, repeated.json()) == (201, assigned.json())
    assert ask("post", stickers, json=body).status_code == 409

    # The learner sees it, also as a number.
    listed = learner_asks("get", stickers).json()
    assert [each["stickerId"] for each in listed["stickers"]] == ["helper"]
    assert learner_asks("get", user).json() == {"accountId": account, "stickers": {"held": 1, "claimed": 0}}
    assert stranger_asks("get", user).status_code == 401

    # Staff take it away, once, and give it again.
    removed = ask("delete", f"{stickers}/helper", json={"reason": "Wrong Anna."})
    assert removed.status_code == 200
    assert ask("delete", f"{stickers}/helper").status_code == 404
    assert learner_asks("get", user).json()["stickers"]["held"] == 0
    again = ask("post", stickers, json=body)
    assert again.status_code == 201

    # Other services were told of each, and of nothing else.
    assert run_manage("badges_drain", env=env).wait() == 0
    events = [content(message)["data"] for message in topics.read_number(2, ASSIGNED)]
    assert events == [
        {"accountId": account, "stickerId": "helper", "assignedAt": same_time(event, answer)}
        for event, answer in zip(events, (assigned, again), strict=True)
    ]
    (event,) = [content(message)["data"] for message in topics.read_number(1, REMOVED)]
    assert event == {"accountId": account, "stickerId": "helper", "removedAt": event["removedAt"]}


def same_time(event: dict[str, str], answer: requests.Response) -> str:
    """Return the time of an event, which is that of the answer. One of them may leave out microseconds of zero."""
    assert event["assignedAt"][:19] == answer.json()["assignedAt"][:19]
    return event["assignedAt"]


def test_a_request_whose_server_is_killed_is_carried_out_once_when_it_is_sent_again(
    database_server: Service, run_manage: Callable[..., Process], env: dict[str, str], service: Any
) -> None:
    learner = LearnerFactory()
    make_template(slug="helper")
    server = Server(run_manage, env)
    ask = server.visitor(service)
    path = f"/api/award/v1/users/{learner.uuid}/stickers"
    request = {"json": {"stickerId": "helper"}, "headers": {"Idempotency-Key": "8e03978e"}}
    lost: list[Exception] = []

    def send_and_lose() -> None:
        try:
            ask("post", path, **request)
        except requests.ConnectionError as error:
            lost.append(error)

    with transaction.atomic():
        # The award waits for this lock. The server is killed while it waits.
        Learner.objects.select_for_update().get(pk=learner.pk)
        thread = threading.Thread(target=send_and_lose)
        thread.start()
        server.process.wait_until(IdempotentRequest.objects.exists, what="a claim of the key")
        time.sleep(0.5)
        server.process.kill()
        thread.join(120)
    assert len(lost) == 1

    server.start()
    waits = ask("post", path, **request)
    assert (waits.status_code, waits.json()["code"]) == (409, "idempotency_key_in_use")
    assert 1 <= int(waits.headers["Retry-After"]) <= 60
    IdempotentRequest.objects.update(leased_until=timezone.now())  # a minute passes
    answers = [ask("post", path, **request) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert ask("get", f"/api/users/v1/users/{learner.uuid}").json()["stickers"]["held"] == 1
