"""What becomes of a badge, and of the others, with each answer that a provider may give."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from badges import api, delivery
from badges.models import UserCredential
from badges.outbox.models import Circuit, OutboxMessage
from tests.factories import NOON, LearnerFactory
from tests.support.providers import TestedProvider

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

HTML = "<html><body>It works!</body></html>"
ASKED, NOT_ASKED = "no_response", "created"


def award(provider: TestedProvider) -> UserCredential:
    return api.award(LearnerFactory(user__email="ada@example.com"), provider.template().slug, now=NOON)


def message(provider: TestedProvider) -> OutboxMessage:
    return OutboxMessage.objects.get(channel=provider.slug)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        # What the row is then, its attempts, the state of the badge, and why its circuit is open.
        ({"status": 401}, ("pending", 0, NOT_ASKED, "problem")),
        ({"status": 403, "body": HTML}, ("pending", 0, NOT_ASKED, "problem")),
        ({"status": 302, "headers": {"Location": "http://127.0.0.2:9/"}}, ("pending", 0, NOT_ASKED, "problem")),
        ({"status": 404, "body": "{}"}, ("dead", 1, "error", "")),  # both its template and its organization are there
        *(({"status": 422, "body": number}, ("dead", 1, "error", "")) for number in range(3)),  # see field_errors
        ({"status": 429, "headers": {"Retry-After": "30"}}, ("pending", 0, NOT_ASKED, "rate_limit")),
        (
            {"status": 429, "headers": {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}},
            ("pending", 0, NOT_ASKED, "rate_limit"),
        ),
        ({"status": 429}, ("pending", 0, NOT_ASKED, "rate_limit")),
        ({"status": 500, "body": HTML}, ("pending", 0, ASKED, "")),
        ({"status": 503, "headers": {"Retry-After": "30"}}, ("pending", 0, ASKED, "outage")),
        ({"status": 200, "body": HTML}, ("pending", 0, ASKED, "")),
        ({"status": 201, "body": "truncated"}, ("pending", 0, ASKED, "")),  # see there
        ({"status": 201, "body": ""}, ("pending", 0, ASKED, "")),
    ],
)
def test_an_answer_instead_of_a_badge(
    provider: TestedProvider, failure: dict[str, Any], outcome: tuple[str, int, str, str]
) -> None:
    body = failure.get("body", "")
    if isinstance(body, int):
        body = provider.field_errors[body]
    elif body == "truncated":
        body = provider.truncated
    provider.standin.answer(on="issue", times=None, **{**failure, "body": body})
    credential = award(provider)
    delivery.drain(now=timezone.now())
    row = message(provider)
    circuit = Circuit.objects.filter(name=f"{provider.slug}:{provider.organization}").first()
    reason = circuit.reason if circuit and circuit.open_until else ""
    assert (row.state, row.attempts, provider.row(credential).state, reason) == outcome
    assert row.last_error
    assert "ada@" not in row.last_error
    assert provider.all_badges() == []


@pytest.mark.parametrize("failure", ["refused", "silence", "cut"])
def test_no_answer_at_all(provider: TestedProvider, failure: str) -> None:
    credential = award(provider)
    if failure == "refused":
        provider.standin.refuse()
    elif failure == "silence":
        provider.standin.slow_down(2, on="issue", times=1)
    else:
        provider.standin.drop(on="issue", carried_out=True)
    delivery.drain(now=timezone.now())
    row = message(provider)
    assert (row.state, row.attempts) == ("pending", 0)
    assert provider.row(credential).state == (NOT_ASKED if failure == "refused" else ASKED)
    provider.standin.recover()
    delivery.try_now(OutboxMessage.objects.filter(channel=provider.slug))
    delivery.drain()
    assert message(provider).state == "delivered"
    assert len(provider.all_badges()) == 1


@pytest.mark.parametrize("failure", [{"status": 401}, {"status": 429}, {"status": 503}, {"status": 200, "body": HTML}])
def test_a_badge_that_cannot_be_revoked_yet_is_revoked_later(provider: TestedProvider, failure: dict[str, Any]) -> None:
    credential = award(provider)
    delivery.drain()
    provider.standin.answer(on=provider.revocation, **failure)
    api.revoke(credential.learner, credential.template.slug, now=timezone.now())
    delivery.drain()
    waiting = OutboxMessage.objects.filter(channel=provider.slug, type="revoke")
    assert waiting.get().state == "pending"
    delivery.try_now(waiting)
    delivery.drain()
    assert waiting.get().state == "delivered"
    assert (provider.valid_badges(), provider.row(credential).state) == ([], "revoked")
