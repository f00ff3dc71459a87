"""
Webhooks of an attacker: whatever is sent, nothing fails, and nothing changes that Credly does not say itself.

``FUZZED_REQUESTS=10000 python -m pytest tests/rest_api/test_webhook_fuzz.py`` sends more of them.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from badges import delivery, pipeline
from badges.catalog.models import BadgeTemplate, TemplateRevision
from badges.intake.models import InboxMessage, InboxState
from badges.issuers import registry, webhooks
from badges.issuers.credly.models import CredlyBadge
from badges.issuers.models import ProviderTemplate
from badges.outbox.models import OutboxMessage
from badges.testing.credly import CredlyStandIn
from tests.factories import UserCredentialFactory, credly_issuer, make_template

pytestmark = pytest.mark.django_db(transaction=True)
REQUESTS = int(os.environ.get("FUZZED_REQUESTS", "400"))
TYPES = ("badge_template.deleted", "badge_template.changed", "badge.state.changed", "badge.deleted", "x", "", None, 5)
KINDS = (
    "application/json",
    "application/json; charset=latin-1",
    "text/plain",
    "multipart/form-data; boundary=x",
    "x",
    "",
)
ODD = (
    "../badges/{id}",
    "%2e%2e/badges/{id}",
    "{id}?x=",
    "{{{id}}}",
    "urn:uuid:{id}",
    "{id}\x00",
    "{id}/../..",
    " {id}",
    "",
)
TEXTS = ("\x00", "'; DROP TABLE x; --", "名前", "\ud800", "a" * 500, "-1", "null", "{}", "\r\nSet-Cookie: a=b", "٣")


class Attacker:
    """Makes requests of which some are right, and most are wrong in one or more places."""

    def __init__(self, seed: int, *, secret: str, organization: str, events: list[str]) -> None:
        self.random = random.Random(seed)
        self.secret, self.organization, self.events = secret, organization, events

    def one_of(self, *choices: Any) -> Any:
        chosen = self.random.choice(choices)
        return chosen() if callable(chosen) else chosen

    def sometimes(self, right: Any, *wrong: Any) -> Any:
        """Return what is right in two of three requests."""
        return right if self.random.random() < 2 / 3 else self.one_of(*wrong)

    def identifier(self) -> str:
        right = self.one_of(*self.events, lambda: str(uuid.UUID(int=self.random.getrandbits(128))))
        return self.sometimes(right, *(each.format(id=right) for each in ODD), right.upper(), *TEXTS)

    def body(self) -> bytes:
        fields = {
            "id": self.identifier(),
            "organization_id": self.sometimes(self.organization, self.identifier, None, 7, [], {"id": 1}),
            "event_type": self.random.choice(TYPES),
            "occurred_at": self.one_of("2026-03-14T12:00:00.000Z", "yesterday", None, 10**30),
            "badge_template": {"id": self.identifier(), "state": "archived"},
        }
        for name in self.random.sample(sorted(fields), self.random.randint(0, 2)):
            del fields[name]
        text = json.dumps(fields).encode()
        cut = self.random.randrange(len(text) + 1)
        return self.sometimes(
            text,
            text[:cut],
            text[:cut] + self.random.randbytes(5) + text[cut:],
            self.random.randbytes(50),
            b"[" * 5000,
            b'{"id": 1e999999}',
            b"\xef\xbb\xbf" + text,
            json.dumps([fields]).encode(),
            text[:-1] + b', "id": "twice"}',
            lambda: b"{" + b" " * self.random.choice([70_000, 300_000]),
        )

    def address(self) -> str:
        if self.random.random() < 0.2:
            return "/badges/credly/webhook/"
        parts = [
            self.sometimes("credly", "accredible", "nobody", "Credly", *TEXTS),
            self.sometimes(self.organization, self.organization.upper(), self.identifier, *TEXTS),
            self.sometimes(self.secret, self.secret[:-1], self.secret.lower(), self.secret + "x", *TEXTS),
        ]
        quoted = "/".join(part.encode("utf-8", "surrogatepass").decode("latin-1") for part in parts)
        return f"/api/badges/v1/webhooks/{quoted}/"

    def send(self) -> int:
        """Send a request, and return the status of the answer."""
        method = self.sometimes("POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE")
        headers = self.sometimes(
            {}, {"HTTP_X_FORWARDED_FOR": "x"}, {"HTTP_AUTHORIZATION": "Basic ::"}, {"HTTP_ACCEPT": "x"}
        )
        kind = self.sometimes("application/json", *KINDS)
        return Client().generic(method, self.address(), self.body(), content_type=kind, **headers).status_code


@pytest.fixture
def credly(settings: Any) -> Any:
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {
            **settings.LMS_BADGES_CONFIG,
            "credly": {
                "CREDLY_API_BASE_URL": stand_in.url,
                "ORGANIZATIONS": {stand_in.organization: stand_in.token},
                "webhook_without_secret": True,
            },
            "rest_api": {"webhooks_per_minute": None},
        }
        yield stand_in


def everything() -> dict[str, Any]:
    """Return what an attacker would like to change."""
    return {
        "templates": list(BadgeTemplate.objects.order_by("pk").values()),
        "revisions": TemplateRevision.objects.count(),
        "badges": list(CredlyBadge.objects.order_by("pk").values()),
        "at the provider": list(
            ProviderTemplate.objects.order_by("pk").values("external_id", "name", "state", "image_url")
        ),
    }


def deliver_all() -> None:
    while pipeline.process_pending().seen or delivery.drain().seen:
        pass


def test_nothing_fails_and_nothing_changes_that_is_not_verified(credly: CredlyStandIn, caplog: Any) -> None:
    template = credly.add_template(name="The target")
    ours = make_template(slug="target", issuers=[credly_issuer(credly.organization, template.id)])
    credential = UserCredentialFactory(template=ours)
    registry.prepare([(credential, ("credly", credly.organization, template.id))])
    CredlyBadge.objects.update(state="pending", organization=credly.organization, external_uuid=uuid.uuid4())
    secret = webhooks.new_secret("credly", credly.organization)
    real = [event.id for event in credly.events]
    for event in real:  # what these events say is known
        webhooks.receive(
            "credly",
            registry.get("credly").webhook,  # type: ignore[arg-type]
            webhooks.WebhookRequest(credly.organization, json.dumps({"id": event}).encode(), {}),
        )
    deliver_all()
    before, known = everything(), InboxMessage.objects.count()

    statuses: Counter[int] = Counter()
    send: Callable[[], int] = Attacker(
        2026, secret=secret, organization=credly.organization, events=[*real, template.id, credly.organization]
    ).send
    for number in range(REQUESTS):
        statuses[send()] += 1
        if number % 500 == 499:
            deliver_all()
    deliver_all()

    assert f"{credly.organization}/{secret}" not in caplog.text
    assert not [status for status in statuses if status >= 500], statuses
    assert statuses[200], statuses  # some were right, and only asked Credly about
    assert everything() == before
    assert InboxMessage.objects.count() - known <= statuses[200]
    assert set(InboxMessage.objects.values_list("state", flat=True)) == {InboxState.PROCESSED}
    assert set(OutboxMessage.objects.values_list("state", flat=True)) == {"delivered"}
    paths = {call.path.partition("?")[0] for call in credly.calls}
    folder = f"/v1/organizations/{credly.organization}"
    assert {path.rsplit("/", 1)[0] for path in paths if path != folder} <= {f"{folder}/events"}
