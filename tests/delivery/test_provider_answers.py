"""What becomes of a badge, and of the others, with each answer that a provider may give."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from badges import delivery
from badges.issuers.credly.models import CredlyBadge
from badges.outbox.models import Circuit, OutboxMessage
from badges.testing.credly import CredlyStandIn
from tests.acceptance.delivery_helpers import pass_course
from tests.factories import credly_issuer, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

HTML = "<html><body>It works!</body></html>"
FIELD_ERRORS = (
    '{"data": {"message": "Validation failed", "errors": [{"attribute": "issued_at", "messages": ["is odd"]}]}}',
    '{"errors": {"issued_at": ["is odd"]}}',
    '{"errors": ["issued_at is odd"]}',
)
ASKED, NOT_ASKED = "no_response", "created"


@pytest.fixture
def credly(settings: Any) -> Any:
    with CredlyStandIn() as stand_in:
        credly = {
            "CREDLY_API_BASE_URL": stand_in.url,
            "ORGANIZATIONS": {stand_in.organization: stand_in.token},
            "timeout": 0.5,
        }
        settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "credly": credly}
        make_template(issuers=[credly_issuer(stand_in.organization, stand_in.add_template().id)])
        yield stand_in


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        # What the row is then, its attempts, the state of the badge, and why its circuit is open.
        ({"status": 401}, ("pending", 0, NOT_ASKED, "problem")),
        ({"status": 403, "body": HTML}, ("pending", 0, NOT_ASKED, "problem")),
        ({"status": 302, "headers": {"Location": "http://127.0.0.2:9/"}}, ("pending", 0, NOT_ASKED, "problem")),
        ({"status": 404, "body": "{}"}, ("dead", 1, "error", "")),  # both its template and its organization are there
        *(({"status": 422, "body": body}, ("dead", 1, "error", "")) for body in FIELD_ERRORS),
        ({"status": 429, "headers": {"Retry-After": "30"}}, ("pending", 0, NOT_ASKED, "rate_limit")),
        (
            {"status": 429, "headers": {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}},
            ("pending", 0, NOT_ASKED, "rate_limit"),
        ),
        ({"status": 429}, ("pending", 0, NOT_ASKED, "rate_limit")),
        ({"status": 500, "body": HTML}, ("pending", 0, ASKED, "")),
        ({"status": 503, "headers": {"Retry-After": "30"}}, ("pending", 0, ASKED, "outage")),
        ({"status": 200, "body": HTML}, ("pending", 0, ASKED, "")),
        ({"status": 201, "body": '{"data": {"id": "12'}, ("pending", 0, ASKED, "")),
        ({"status": 201, "body": ""}, ("pending", 0, ASKED, "")),
    ],
)
def test_an_answer_instead_of_a_badge(
    credly: CredlyStandIn, failure: dict[str, Any], outcome: tuple[str, int, str, str]
) -> None:
    credly.answer(on="issue", times=None, **failure)
    pass_course(1)
    delivery.drain(now=timezone.now())
    row = OutboxMessage.objects.get(channel="credly")
    circuit = Circuit.objects.filter(name=f"credly:{credly.organization}").first()
    reason = circuit.reason if circuit and circuit.open_until else ""
    assert (row.state, row.attempts, CredlyBadge.objects.get().state, reason) == outcome
    assert row.last_error
    assert "learner1@" not in row.last_error
    assert credly.badges == []


@pytest.mark.parametrize("failure", ["refused", "silence", "cut"])
def test_no_answer_at_all(credly: CredlyStandIn, failure: str) -> None:
    if failure == "refused":
        credly.refuse()
    elif failure == "silence":
        credly.slow_down(2, on="issue", times=1)
    else:
        credly.drop(on="issue", carried_out=True)
    pass_course(1)
    delivery.drain(now=timezone.now())
    row = OutboxMessage.objects.get(channel="credly")
    assert (row.state, row.attempts) == ("pending", 0)
    assert CredlyBadge.objects.get().state == (NOT_ASKED if failure == "refused" else ASKED)
    credly.recover()
    delivery.try_now(OutboxMessage.objects.filter(channel="credly"))
    assert delivery.drain().delivered == 1
    assert len(credly.badges) == 1
