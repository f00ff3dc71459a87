"""Registering an account: what a new user relies on, what each wrong request is answered, and what is published."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client
from django.utils import timezone

from badges import api
from badges.announcements.cloud_events import event_of
from badges.flows import account_creation, idempotency
from badges.flows.account_creation import EmailTakenError, register
from badges.intake import flow_events
from badges.intake.events import event_from_envelope
from badges.models import IdempotentRequest, InboxMessage, Learner, OutboxMessage, Registration, WelcomeAward
from tests.factories import LearnerFactory, UserFactory, make_template
from tests.flows.senders import NOON, take
from tests.rest_api.schema import assert_as_promised
from tests.support.constraints import again, refused
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

ADDRESS = "/api/users/v1/users"
EVENT = "users.userRegistered.v1"
PARALLEL = 50 if connection.vendor != "sqlite" else 12
KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
NADIA = {"email": "Nadia@Example.org", "password": "rubber-boat-42", "name": "Надя Живкова"}


@pytest.fixture(autouse=True)
def host(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {
        "flows": {"registration": True},
        "cloud_events": {"publish": [EVENT]},
        "rest_api": {"registrations_per_minute": None},
    }


def post(body: Any, address: str = ADDRESS, **headers: str) -> Any:
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return Client().post(address, text, content_type="application/json", headers=headers)


def problem(response: Any, status: int) -> Any:
    body = assert_as_promised(response, ADDRESS, method="post")
    assert response.status_code == status, body
    return body


# --- an account -------------------------------------------------------------------------------------------------------


def test_a_new_account_can_sign_in_and_has_a_learner_and_an_event() -> None:
    response = post(NADIA)
    assert response.status_code == 201
    account_id = assert_as_promised(response, ADDRESS, method="post")["accountId"]
    user = get_user_model().objects.get(email="Nadia@example.org")
    assert (user.username, user.get_full_name()) == (account_id, "Надя Живкова")
    assert authenticate(username=account_id, password="rubber-boat-42") == user
    learner = Learner.objects.get(user=user)
    assert str(learner.uuid) == account_id
    event = event_of(OutboxMessage.objects.get())
    assert (event["type"], event["data"]) == (EVENT, {"accountId": account_id})
    assert event["subject"] == account_id
    stored = json.dumps([list(rows.values()) for rows in (Registration.objects, OutboxMessage.objects)], default=str)
    assert "nadia" not in stored.lower()


def test_without_a_password_nobody_can_sign_in_with_one() -> None:
    assert post({"email": "nadia@example.org"}).status_code == 201
    assert not get_user_model().objects.get().has_usable_password()


def test_the_address_is_answered_with_a_slash_too() -> None:
    assert post({"email": "nadia@example.org"}, ADDRESS + "/").status_code == 201


def test_no_event_is_written_where_the_host_does_not_publish_it(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"registration": True}}
    assert post(NADIA).status_code == 201
    assert not OutboxMessage.objects.exists()


def test_by_default_nobody_is_registered(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {}
    problem(post(NADIA), 404)
    assert not Learner.objects.exists()


# --- wrong requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nadia"}, "email"),
        ({"email": ""}, "email"),
        ({"email": None}, "email"),
        ({"email": 7}, "email"),
        ({"email": ["nadia@example.org"]}, "email"),
        ({"email": "nadia@example.org\nBcc: all@example.org"}, "email"),
        ({"email": "nadia\0@example.org"}, "email"),
        ({"email": "n" * 250 + "@example.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": ""}, "password"),
        ({"password": None}, "password"),
        ({"password": 1234567890}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"password": "rubber-boat\ud800"}, "password"),
        ({"name": {"first": "Nadia"}}, "name"),
        ({"name": "N" * 151}, "name"),
        ({"isStaff": True}, "isStaff"),
    ],
)
def test_a_wrong_field_is_named(change: Any, field: str) -> None:
    body = problem(post(NADIA | change), 400)
    assert {error["field"] for error in body["errors"]} == {field}
    assert not get_user_model().objects.exists()


def test_a_password_is_judged_with_the_validators_of_the_host(settings: Any) -> None:
    settings.AUTH_PASSWORD_VALIDATORS = [
        {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"}
    ]
    assert problem(post(NADIA | {"password": "nadia@example.org"}), 400)["errors"][0]["field"] == "password"


@pytest.mark.parametrize(("text", "status"), [("[]", 400), ("{", 400), ("{}", 400), ("", 400), (b"\xff", 400)])
def test_a_body_that_is_no_account_is_refused(text: Any, status: int) -> None:
    problem(post(text), status)


def test_a_body_of_ten_megabytes_is_refused() -> None:
    problem(post(NADIA | {"name": "N" * 10_000_000}), 413)


def test_a_client_address_has_a_limit(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"registration": True}, "rest_api": {"registrations_per_minute": 2}}
    statuses = [post({"email": f"somebody{number}@example.org"}).status_code for number in range(3)]
    assert statuses in ([201, 201, 429], [201, 201, 201])  # a minute may end between two of them
    statuses += [post({"email": f"someone{number}@example.org"}).status_code for number in range(3)]
    assert 429 in statuses


# --- one account for an address ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["nadia@example.org", "NADIA@EXAMPLE.ORG"])
def test_an_address_that_has_an_account_is_refused_in_whatever_case(email: str) -> None:
    assert post(NADIA).status_code == 201
    assert problem(post({"email": email}), 409)["code"] == "email_taken"
    assert get_user_model().objects.count() == 1


def test_an_address_of_an_account_that_was_not_registered_here_is_refused() -> None:
    UserFactory(email="nadia@example.org")
    assert problem(post(NADIA), 409)["code"] == "email_taken"
    assert not Registration.objects.exists()


def test_an_address_that_only_a_collation_equates_is_another_one() -> None:
    UserFactory(email="nadía@example.org")
    assert post(NADIA).status_code == 201


def test_after_the_secret_key_was_changed_an_address_is_still_taken(settings: Any) -> None:
    assert post(NADIA).status_code == 201
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert post(NADIA).status_code == 409


def test_an_address_is_free_again_when_its_account_is_gone_or_has_another() -> None:
    assert post(NADIA).status_code == 201
    get_user_model().objects.update(email="somebody@example.org")
    assert post(NADIA).status_code == 201
    get_user_model().objects.get(email="Nadia@example.org").delete()
    assert post(NADIA).status_code == 201
    assert Registration.objects.count() == 1


def test_whoever_was_retired_may_register_again() -> None:
    account_id = post(NADIA).json()["accountId"]
    result = api.retire(Learner.objects.get(uuid=account_id))
    assert result.counts["lms_badges"]["registrations"] == 1
    get_user_model().objects.all().delete()
    assert post(NADIA).status_code == 201


def test_the_database_takes_an_address_and_a_learner_once() -> None:
    post(NADIA)
    row = Registration.objects.get()
    refused(again(row, email_digest="0" * 64))
    refused(again(row, learner_id=LearnerFactory().pk))


@pytest.mark.django_db(transaction=True)
def test_of_fifty_registrations_of_one_address_at_once_one_is_201() -> None:
    cases = ["nadia@example.org", "Nadia@Example.org", "NADIA@EXAMPLE.ORG", "nAdIa@eXaMpLe.OrG"]
    bodies = [{"email": cases[number % len(cases)]} for number in range(PARALLEL)]
    responses = outcomes_at_once([lambda body=body: post(body) for body in bodies])
    assert not [each for each in responses if isinstance(each, Exception)]
    assert Counter(response.status_code for response in responses) == {201: 1, 409: PARALLEL - 1}
    assert [get_user_model().objects.count(), Learner.objects.count(), Registration.objects.count()] == [1, 1, 1]
    assert OutboxMessage.objects.filter(type=EVENT).count() == 1


@pytest.mark.django_db(transaction=True)
def test_account_learner_and_event_are_written_together(monkeypatch: Any) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(account_creation.mailbox, "post", fail)
        with pytest.raises(RuntimeError):
            register("nadia@example.org", password=make_password(None), name="", now=timezone.now())
    assert not get_user_model().objects.exists()
    assert not Learner.objects.exists()
    register("nadia@example.org", password=make_password(None), name="", now=timezone.now())
    with pytest.raises(EmailTakenError):
        register("NADIA@example.org", password=make_password(None), name="", now=timezone.now())


# --- the same request again -------------------------------------------------------------------------------------------


def test_a_request_that_is_sent_again_with_its_key_gets_the_stored_answer() -> None:
    first, second = post(NADIA, **KEY), post(NADIA, ADDRESS + "/", **KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert (second.content, second.headers["Idempotent-Replayed"]) == (first.content, "true")
    refusal = {"Idempotency-Key": "another"}
    assert [post(NADIA, **refusal).content, post(NADIA, **refusal).status_code] == [post(NADIA).content, 409]
    assert IdempotentRequest.objects.count() == 2


@pytest.mark.parametrize("change", [{"password": "rubber-boat-43"}, {"email": "spirou@example.org"}])
def test_a_key_with_another_body_is_refused(change: Any) -> None:
    post(NADIA, **KEY)
    assert problem(post(NADIA | change, **KEY), 422)["code"] == "idempotency_key_reused"


def test_a_key_whose_first_request_still_runs_has_to_wait() -> None:
    post(NADIA, **KEY)
    later = timezone.now() + idempotency.LEASE
    IdempotentRequest.objects.update(
        claim="0190e3c0-0000-7000-b000-00000000abcd", status=None, answer=None, leased_until=later
    )
    response = post(NADIA, **KEY)
    assert problem(response, 409)["code"] == "idempotency_key_in_use"
    assert int(response.headers["Retry-After"]) > 0


def test_the_database_takes_a_key_of_nobody_once() -> None:
    post(NADIA, **KEY)
    refused(again(IdempotentRequest.objects.get()))


# --- our own event ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_our_own_event_that_comes_back_does_nothing_twice(settings: Any) -> None:
    make_template(slug="ようこそ", requirements=[], is_active=False)
    settings.LMS_BADGES_CONFIG["flows"]["welcome_badge"] = "ようこそ"
    post(NADIA)
    envelope = event_of(OutboxMessage.objects.get(type=EVENT))
    definition = flow_events.find(EVENT)
    assert definition is not None
    event = event_from_envelope(definition, envelope, received_from="test")
    assert take(event, now=NOON).awarded == 1
    other = event_from_envelope(definition, envelope | {"id": "another"}, received_from="test")
    assert [take(event).awarded, take(other).awarded] == [0, 0]
    assert [InboxMessage.objects.filter(state="processed").count(), WelcomeAward.objects.count()] == [2, 1]
    assert [Learner.objects.count(), get_user_model().objects.count()] == [1, 1]
    assert OutboxMessage.objects.filter(type=EVENT).count() == 1
