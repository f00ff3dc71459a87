"""Many requests about one sticker at the same moment: one is carried out, the others are told so."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection

from badges.models import Learner, OutboxMessage, UserCredential
from tests.factories import LearnerFactory, UserFactory, make_template
from tests.support.learner_factories import signed_in, somebody
from tests.support.threads import outcomes_at_once

# SQLite has one writer at a time: more requests only take longer there.
PARALLEL = 50 if connection.vendor != "sqlite" else 12
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


@pytest.fixture
def clients(settings: Any) -> list[Any]:
    """Clients of one service, all signed in."""
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "rest_api": {"requests_per_minute": None}}
    service = somebody("award_usercredential", "revoke_usercredential")
    return [signed_in(service) for _ in range(PARALLEL)]


def at_once(requests: Sequence[Callable[[], Any]]) -> list[Any]:
    """Send requests at the same time; return the responses. An exception in the server fails the test."""
    responses = outcomes_at_once(requests)
    failed = [response for response in responses if isinstance(response, Exception)]
    assert not failed, failed
    assert len(responses) == len(requests)
    return responses


def statuses(responses: Sequence[Any]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


def assigning(client: Any, user: Any, sticker: str, **headers: str) -> Callable[[], Any]:
    body = {"stickerId": sticker}
    address = f"/api/award/v1/users/{user}/stickers"
    return lambda: client.post(address, body, content_type="application/json", headers=headers)


def removing(client: Any, user: Any, sticker: str) -> Callable[[], Any]:
    return lambda: client.delete(f"/api/award/v1/users/{user}/stickers/{sticker}")


def announcements() -> list[str]:
    rows = OutboxMessage.objects.filter(channel="announce").order_by("sequence")
    return list(rows.values_list("type", flat=True))


def test_of_fifty_assignments_at_once_one_is_201_and_announced_and_all_others_are_409(clients: list[Any]) -> None:
    learner, slug = LearnerFactory(), make_template().slug
    responses = at_once([assigning(client, learner.uuid, slug) for client in clients])
    assert statuses(responses) == {201: 1, 409: PARALLEL - 1}
    assert {response.json()["code"] for response in responses if response.status_code == 409} == {"already_held"}
    assert UserCredential.objects.count() == 1
    assert announcements() == ["badge.awarded"]


def test_of_fifty_assignments_at_once_to_an_account_one_makes_the_learner(clients: list[Any]) -> None:
    user, slug = UserFactory(), make_template().slug
    responses = at_once([assigning(client, user.username, slug) for client in clients])
    assert statuses(responses) == {201: 1, 409: PARALLEL - 1}
    assert Learner.objects.count() == UserCredential.objects.count() == 1
    assert announcements() == ["badge.awarded"]


def test_assigning_and_removing_at_the_same_time_ends_in_what_was_announced_last(clients: list[Any]) -> None:
    learner, slug = LearnerFactory(), make_template().slug
    makers = itertools.cycle([assigning, removing])
    responses = at_once([make(client, learner.uuid, slug) for make, client in zip(makers, clients, strict=False)])
    seen = statuses(responses)
    assert set(seen) <= {200, 201, 404, 409}
    types = announcements()
    assert types == [each for _, each in zip(types, itertools.cycle(["badge.awarded", "badge.revoked"]), strict=False)]
    assert (types.count("badge.awarded"), types.count("badge.revoked")) == (seen[201], seen[200])
    assert UserCredential.objects.count() == seen[201]
    assert UserCredential.objects.filter(status="revoked").count() == seen[200]
    assert UserCredential.objects.filter(active_key="active").count() == seen[201] - seen[200]
    assert UserCredential.objects.filter(blocked=True).count() == (1 if seen[201] == seen[200] and seen[200] else 0)


def test_of_parallel_requests_with_one_key_all_get_the_one_answer_or_are_told_to_wait(clients: list[Any]) -> None:
    learner, slug = LearnerFactory(), make_template().slug
    key = {"Idempotency-Key": "houba-1"}
    responses = at_once([assigning(client, learner.uuid, slug, **key) for client in clients])
    assert set(statuses(responses)) <= {201, 409}
    assert len({response.content for response in responses if response.status_code == 201}) == 1
    refused = [response for response in responses if response.status_code == 409]
    assert {response.json()["code"] for response in refused} <= {"idempotency_key_in_use"}
    assert all(1 <= int(response.headers["Retry-After"]) <= 60 for response in refused)
    assert announcements() == ["badge.awarded"]
    replayed = assigning(clients[0], learner.uuid, slug, **key)()
    assert (replayed.status_code, replayed.headers["Idempotent-Replayed"]) == (201, "true")
