"""
Credly from end to end, over HTTP in both directions: templates, a badge, and what the learner and Credly do with it.

The peer that this plugin replaces issues the badge after the first of two requirements, calls Credly while it decides
an event, and deletes a template for a forged webhook.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from badges import delivery, pipeline
from badges.awarding.models import UserCredential
from badges.catalog.api import export_template, save_template
from badges.issuers import webhooks
from badges.issuers.credly.models import CredlyBadge
from badges.models import BadgeTemplate, InboxMessage, OutboxMessage
from badges.testing.credly import CredlyStandIn
from tests.factories import GEOMETRY, make_passing, requirement

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def credly(settings: Any) -> Any:
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {
            **settings.LMS_BADGES_CONFIG,
            "credly": {
                "CREDLY_API_BASE_URL": stand_in.url,
                "ORGANIZATIONS": {stand_in.organization: stand_in.token},
                "timeout": 2,
            },
            "delivery": {"notify_workers": False, "circuit_failures": 2},
        }
        yield stand_in


def deliver(*, now: dt.datetime | None = None) -> None:
    """Do what a worker does until nothing is due."""
    while pipeline.process_pending().seen or delivery.drain(now=now).delivered:
        pass


def test_what_happens_at_credly_shows_here_after_a_webhook_and_an_outage(
    credly: CredlyStandIn, live_server: Any
) -> None:
    there = credly.add_template(name="Two courses")
    call_command("sync_badge_templates", verbosity=0)
    template = BadgeTemplate.objects.get()
    demands = [requirement("algebra"), requirement("geometry", course=GEOMETRY)]
    save_template(export_template(template) | {"requirements": demands, "is_active": True}, now=timezone.now())
    credly.set_webhook(webhooks.new_address("credly", credly.organization, host=live_server.url))

    asked = len(credly.calls)
    pipeline.handle([make_passing(username="ada", email="ada@example.org", name="Ada Lovelace")])
    deliver()
    assert not UserCredential.objects.exists()  # half of the badge
    pipeline.handle([make_passing(username="ada", email="ada@example.org", name="Ada Lovelace", course_key=GEOMETRY)])
    assert UserCredential.objects.count() == 1
    assert len(credly.calls) == asked  # decisions call nobody
    deliver()
    assert credly.wait_for_webhooks()
    badge = CredlyBadge.objects.get()
    assert (badge.state, [each.event_type for each in credly.events][-1]) == ("pending", "badge.created")
    deliver()

    # The learner accepts the badge, and Credly's API is down when we ask what has happened.
    credly.accept_badge(str(badge.external_uuid))
    assert credly.wait_for_webhooks()
    credly.break_down(on="event", times=4)
    deliver()
    assert CredlyBadge.objects.get().state == "pending"
    (waiting,) = OutboxMessage.objects.filter(type="fetch", state="pending")
    assert waiting.attempts == 0
    for hours in range(1, 6):
        deliver(now=timezone.now() + dt.timedelta(hours=hours))
    assert CredlyBadge.objects.get().state == "accepted"

    # Credly archives the template: nobody earns it here any more, and who has it keeps it.
    credly.archive_template(there.id)
    assert credly.wait_for_webhooks()
    credly.send_webhooks_again(credly.events[-1].id)
    assert credly.wait_for_webhooks()
    deliver(now=timezone.now() + dt.timedelta(hours=7))
    template.refresh_from_db()
    assert template.archived_at is not None
    assert UserCredential.objects.get().status == "awarded"
    assert InboxMessage.objects.filter(kind="webhook:credly").count() == len(credly.events) - 1  # one was there before
    assert not OutboxMessage.objects.filter(state="dead").exists()
