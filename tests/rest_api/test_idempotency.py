"""What a client relies on that sends a request again with its ``Idempotency-Key``: it counts once."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from badges import api, tasks
from badges.exceptions import Retryable
from badges.flows import idempotency
from badges.models import IdempotentRequest, OutboxMessage, UserCredential
from tests.factories import LearnerFactory, UserCredentialFactory, UserFactory, make_template
from tests.rest_api.test_stickers import assign, remove
from tests.support.constraints import again, refused
from tests.support.learner_factories import signed_in, somebody

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
RUNNING = {"claim": uuid.UUID(int=7), "status": None, "answer": None}


@pytest.fixture
def service(db: None) -> Any:
    return somebody("award_usercredential", "revoke_usercredential")


@pytest.fixture
def client(service: Any) -> Any:
    return signed_in(service)


@pytest.fixture
def learner(db: None) -> Any:
    return LearnerFactory()


@pytest.fixture
def body(db: None) -> dict[str, Any]:
    return {"stickerId": make_template(slug="helper").slug, "reason": "Helped everybody."}


def keyed(key: str = KEY) -> dict[str, str]:
    return {"Idempotency-Key": key}


def assert_replays(again: Any, first: Any) -> None:
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")


# --- the four situations ----------------------------------------------------------------------------------------------


def test_a_new_key_is_carried_out_and_its_answer_is_stored(client: Any, learner: Any, body: Any) -> None:
    assert assign(client, learner.uuid, body, **keyed()).status_code == 201
    row = IdempotentRequest.objects.get()
    assert (row.status, row.claim) == (201, None)
    assert UserCredential.objects.count() == 1


def test_a_request_that_is_sent_again_gets_the_stored_answer(client: Any, learner: Any, body: Any) -> None:
    first = assign(client, learner.uuid, body, **keyed())
    assert_replays(assign(client, learner.uuid, body, **keyed()), first)
    api.revoke(learner, "helper")
    assert_replays(assign(client, learner.uuid, body, **keyed()), first)
    assert UserCredential.objects.count() == 1
    assert OutboxMessage.objects.filter(type="badge.awarded").count() == 1


def test_while_the_first_request_runs_the_second_is_told_to_wait(client: Any, learner: Any, body: Any) -> None:
    assign(client, learner.uuid, body, **keyed())
    until = timezone.now() + dt.timedelta(seconds=40)
    IdempotentRequest.objects.update(**RUNNING, leased_until=until)
    response = assign(client, learner.uuid, body, **keyed())
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_in_use")
    assert 30 <= int(response.headers["Retry-After"]) <= 40


def test_another_body_under_the_same_key_is_422_and_nothing_is_done(client: Any, learner: Any, body: Any) -> None:
    first = assign(client, learner.uuid, body, **keyed())
    for other in ({"stickerId": make_template().slug}, {"stickerId": "helper"}, {"stickerId": "no-such-sticker"}):
        response = assign(client, learner.uuid, other, **keyed())
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    IdempotentRequest.objects.update(**RUNNING, leased_until=timezone.now() + dt.timedelta(seconds=40))
    assert assign(client, learner.uuid, {"stickerId": "houba"}, **keyed()).status_code == 422
    assert UserCredential.objects.count() == 1
    assert first.status_code == 201


# --- what is stored, and what is not ----------------------------------------------------------------------------------


def test_a_refusal_is_an_answer_too(client: Any, body: Any) -> None:
    held = UserCredentialFactory()
    inactive = {"stickerId": make_template(is_active=False).slug}
    refusals = [
        lambda: assign(client, "nobody", body, **keyed("first")),
        lambda: assign(client, held.learner.uuid, {"stickerId": held.template.slug}, **keyed("second")),
        lambda: assign(client, held.learner.uuid, inactive, **keyed("third")),
        lambda: remove(client, held.learner.uuid, "helper", **keyed("fourth")),
    ]
    first = [ask() for ask in refusals]
    assert [response.status_code for response in first] == [404, 409, 422, 404]
    UserFactory(username="nobody")
    api.revoke(held.learner, held.template.slug)
    for ask, response in zip(refusals, first, strict=True):
        assert_replays(ask(), response)
    assert assign(client, "nobody", body, **keyed("fifth")).status_code == 201


def test_a_request_that_was_wrong_may_be_corrected_under_its_key(
    client: Any, service: Any, learner: Any, body: Any
) -> None:
    assert assign(client, learner.uuid, {"stickerId": ""}, **keyed()).status_code == 400
    service.user_permissions.clear()
    assert assign(client, learner.uuid, body, **keyed()).status_code == 403
    assert not IdempotentRequest.objects.exists()
    assert assign(signed_in(somebody("award_usercredential")), learner.uuid, body, **keyed()).status_code == 201


@pytest.mark.parametrize("fails", ["award", "revoke"])
def test_the_key_is_free_after_the_database_did_not_answer(
    client: Any, learner: Any, body: Any, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*args: Any, **given: Any) -> None:
        raise Retryable("The database did not answer for 20 seconds; nothing was changed.")

    held = UserCredentialFactory(learner=learner)
    send = {
        "award": lambda: assign(client, learner.uuid, body, **keyed()),
        "revoke": lambda: remove(client, learner.uuid, held.template.slug, **keyed()),
    }[fails]
    with monkeypatch.context() as broken:
        broken.setattr(api, fails, fail)
        assert send().status_code == 503
    assert not IdempotentRequest.objects.exists()
    assert send().status_code in (200, 201)


def test_the_same_body_written_in_another_way_is_the_same(client: Any, learner: Any, body: Any) -> None:
    first = assign(client, learner.uuid, {"stickerId": "helper"}, **keyed())
    again = assign(client, learner.uuid, '{ "reason": "",  "stickerId": "helper"}', **keyed())
    assert_replays(again, first)


def test_removing_takes_a_key_too(client: Any, body: Any) -> None:
    held = UserCredentialFactory()
    first = remove(client, held.learner.uuid, held.template.slug, **keyed())
    assert first.status_code == 200
    assert_replays(remove(client, held.learner.uuid, held.template.slug, **keyed()), first)
    assert remove(client, held.learner.uuid, held.template.slug, {"reason": "x"}, **keyed()).status_code == 422
    assert remove(client, held.learner.uuid, held.template.slug, **keyed("other")).status_code == 404


def test_a_key_belongs_to_an_account_a_path_and_a_method(client: Any, learner: Any, body: Any) -> None:
    other = signed_in(somebody("award_usercredential"))
    assert assign(client, learner.uuid, body, **keyed()).status_code == 201
    assert assign(client, LearnerFactory().uuid, body, **keyed()).status_code == 201
    assert remove(client, learner.uuid, "helper", **keyed()).status_code == 200
    response = assign(other, learner.uuid, body, **keyed())
    assert (response.status_code, response.headers.get("Idempotent-Replayed")) == (201, None)
    assert assign(client, learner.uuid, body, **keyed(KEY.upper())).status_code == 409
    assert assign(client, learner.uuid, body, **keyed(f"{KEY} .")).status_code == 409
    assert IdempotentRequest.objects.count() == 6


def test_without_a_key_nothing_is_stored(client: Any, learner: Any, body: Any) -> None:
    assert assign(client, learner.uuid, body).status_code == 201
    assert assign(client, learner.uuid, body).status_code == 409
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize("key", ["", "k" * 256, "k\x7f", "schlüssel", "\t"])
def test_a_key_that_cannot_be_used_is_named(client: Any, learner: Any, body: Any, key: str) -> None:
    response = assign(client, learner.uuid, body, **keyed(key))
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["Idempotency-Key"]
    assert not UserCredential.objects.exists()


def test_the_longest_key_is_taken(client: Any, learner: Any, body: Any) -> None:
    assert assign(client, learner.uuid, body, **keyed("~" * 255)).status_code == 201


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_the_request_of_a_killed_process_is_carried_out_when_its_lease_has_ended(
    client: Any, service: Any, learner: Any, body: Any
) -> None:
    assign(client, learner.uuid, body, **keyed())
    UserCredential.objects.all().delete()
    OutboxMessage.objects.all().delete()
    IdempotentRequest.objects.update(**RUNNING, leased_until=timezone.now() - dt.timedelta(seconds=1))
    response = assign(client, learner.uuid, body, **keyed())
    assert (response.status_code, response.headers.get("Idempotent-Replayed")) == (201, None)
    assert UserCredential.objects.count() == 1
    assert IdempotentRequest.objects.get().status == 201


def test_an_award_whose_answer_cannot_be_stored_is_not_made(
    client: Any, learner: Any, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(idempotency, "_store", fail)
    with pytest.raises(RuntimeError):
        assign(client, learner.uuid, body, **keyed())
    assert not UserCredential.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize("other_is_done", [True, False])
def test_a_request_that_lost_its_lease_writes_nothing(
    client: Any, learner: Any, body: Any, monkeypatch: pytest.MonkeyPatch, other_is_done: bool
) -> None:
    claim = idempotency._claim
    answer = {"userId": str(learner.uuid), "stickerId": "helper", "assignedAt": "2026-03-14T12:00:00Z"}

    def lose(*args: Any) -> None:
        assert claim(*args) is None
        if other_is_done:
            rows = IdempotentRequest.objects.all()
            rows.update(claim=None, leased_until=None, status=201, answer=json.dumps(answer))
        else:
            IdempotentRequest.objects.update(claim=uuid.UUID(int=7))

    monkeypatch.setattr(idempotency, "_claim", lose)
    response = assign(client, learner.uuid, body, **keyed())
    assert not UserCredential.objects.exists()
    assert not OutboxMessage.objects.exists()
    if other_is_done:
        assert (response.status_code, response.json()) == (201, answer)
        assert response.headers["Idempotent-Replayed"] == "true"
    else:
        assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_in_use")
    assert IdempotentRequest.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_request_that_really_runs_makes_the_second_wait_and_then_replays(
    client: Any, service: Any, learner: Any, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    award, begun, go_on = api.award, threading.Event(), threading.Event()

    def slow(*args: Any, **given: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return award(*args, **given)

    responses: list[Any] = []

    def send() -> None:
        try:
            responses.append(signed_in(service).post(f"/api/award/v1/users/{learner.uuid}/stickers", **request))
        finally:
            connections.close_all()

    request = {"data": body, "content_type": "application/json", "headers": keyed()}
    monkeypatch.setattr(api, "award", slow)
    thread = threading.Thread(target=send)
    thread.start()
    assert begun.wait(30)
    waits = assign(client, learner.uuid, body, **keyed()) if not one_writer() else None
    go_on.set()
    thread.join(30)
    assert waits is None or (waits.status_code, waits.json()["code"]) == (409, "idempotency_key_in_use")
    assert_replays(assign(client, learner.uuid, body, **keyed()), responses[0])
    assert UserCredential.objects.count() == 1


def one_writer() -> bool:
    """SQLite has one writer at a time, so the second request waits for the first one."""
    return connections["default"].vendor == "sqlite"


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def a_day_ago(client: Any, learner: Any, body: Any) -> None:
    assign(client, learner.uuid, body, **keyed())
    IdempotentRequest.objects.update(created_at=timezone.now() - dt.timedelta(hours=24, seconds=1))
    assign(client, learner.uuid, body, **keyed("younger"))
    IdempotentRequest.objects.filter(status=409).update(created_at=timezone.now() - dt.timedelta(hours=23, minutes=59))


def test_after_a_day_the_key_may_be_used_for_something_else(
    a_day_ago: None, client: Any, learner: Any, body: Any
) -> None:
    other = {"stickerId": make_template().slug}
    assert assign(client, learner.uuid, other, **keyed()).status_code == 201
    assert assign(client, learner.uuid, other, **keyed("younger")).status_code == 422
    assert assign(client, learner.uuid, body, **keyed("younger")).headers["Idempotent-Replayed"] == "true"


def test_old_answers_are_purged(a_day_ago: None) -> None:
    assert tasks.delete_old_data().answers == 1
    assert list(IdempotentRequest.objects.values_list("status", flat=True)) == [409]


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_retired_account_leaves_no_requests(service: Any, client: Any, learner: Any, body: Any) -> None:
    assign(client, learner.uuid, body, **keyed())
    assign(signed_in(somebody("award_usercredential")), learner.uuid, body, **keyed())
    assert api.retire(service).counts["lms_badges"]["answers"] == 1
    assert IdempotentRequest.objects.exclude(account=service).count() == IdempotentRequest.objects.count() == 1


def test_an_account_that_the_host_deletes_takes_its_requests_along(
    service: Any, client: Any, learner: Any, body: Any
) -> None:
    assign(client, learner.uuid, body, **keyed())
    service.delete()
    assert not IdempotentRequest.objects.exists()


def test_a_row_does_not_tell_whom_the_request_named_or_why(client: Any, learner: Any, body: Any) -> None:
    assign(client, learner.user.username, body, **keyed())
    (row,) = IdempotentRequest.objects.values()
    stored = " ".join(map(str, row.values()))
    for text in (learner.user.username, learner.user.email, body["reason"], KEY):
        assert text not in stored


@pytest.mark.parametrize("half", [RUNNING, {"leased_until": timezone.now()}, {"status": None}, {"answer": None}])
def test_a_row_runs_or_is_answered(client: Any, learner: Any, body: Any, half: dict[str, Any]) -> None:
    assign(client, learner.uuid, body, **keyed())
    row = IdempotentRequest.objects.get()
    refused(again(row))
    refused(lambda: IdempotentRequest.objects.update(**half))
