"""What the database itself refuses, whoever writes it."""

from __future__ import annotations

from typing import Any

import pytest

from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeRequirement, CatalogVersion, TemplateIssuer, TemplateRevision
from badges.history.models import LoggedEvent
from badges.intake.models import InboxMessage
from badges.outbox.models import OutboxMessage
from badges.progress.models import Fulfillment
from tests.factories import (
    NOON,
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    InboxMessageFactory,
    LoggedEventFactory,
    OutboxMessageFactory,
    UserCredentialFactory,
    credly_issuer,
    make_template,
    requirement,
)
from tests.support.constraints import again, refused

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


def test_a_learner_holds_a_badge_once_and_may_have_held_it_before() -> None:
    row = UserCredentialFactory()
    refused(again(row))
    again(row, **REVOKED)()
    again(row, **REVOKED)()


@pytest.mark.parametrize(
    "half", [{"status": "revoked"}, {"active_key": None}, {"active_key": "other"}], ids=["revoked", "open", "odd"]
)
def test_a_badge_is_active_exactly_while_it_is_awarded(half: dict[str, Any]) -> None:
    row = UserCredentialFactory()
    refused(lambda: UserCredential.objects.filter(pk=row.pk).update(**half))


def test_a_learner_has_one_progress_on_a_template() -> None:
    row = BadgeProgressFactory()
    refused(again(row, id=UserCredential._meta.pk.get_default()))


def test_a_requirement_is_fulfilled_once_at_a_time() -> None:
    row = FulfillmentFactory()
    refused(again(row))
    reset = {"active_key": None, "reset_at": NOON, "reset_kind": "event"}
    again(row, **reset)()
    again(row, **reset)()


@pytest.mark.parametrize(
    "half",
    [
        {"active_key": None},
        {"active_key": None, "reset_at": NOON},
        {"reset_at": NOON, "reset_kind": "event"},
        {"active_key": "other"},
    ],
    ids=["never", "by nothing", "active", "odd"],
)
def test_a_fulfilment_is_active_exactly_until_it_is_reset(half: dict[str, Any]) -> None:
    row = FulfillmentFactory()
    refused(lambda: Fulfillment.objects.filter(pk=row.pk).update(**half))


def test_a_template_has_each_requirement_revision_and_provider_once() -> None:
    template = make_template(requirements=[requirement("a"), requirement("b")], issuers=[credly_issuer()])
    refused(lambda: BadgeRequirement.objects.filter(template=template).update(key="a"))
    refused(again(TemplateRevision.objects.get(template=template)))
    refused(again(TemplateIssuer.objects.get(template=template)))


def test_there_is_one_version_of_the_catalog() -> None:
    make_template()
    refused(lambda: CatalogVersion.objects.create(id=2, number=1))


@pytest.mark.parametrize("make", [InboxMessageFactory, OutboxMessageFactory])
def test_a_pending_row_has_a_due_time_and_a_finished_row_has_none(make: Any) -> None:
    row = make()
    rows = type(row).objects.filter(pk=row.pk)
    refused(lambda: rows.update(due_at=None))
    refused(lambda: rows.update(state="dead"))
    assert rows.update(state="dead", due_at=None) == 1


def test_an_event_is_logged_once_for_a_person_and_may_be_logged_for_another() -> None:
    row = LoggedEventFactory(person=1)
    refused(again(row))
    LoggedEventFactory(person=2, event_id=row.event_id)
    assert LoggedEvent.objects.count() == 2


def test_an_event_is_stored_once() -> None:
    row = InboxMessageFactory()
    refused(again(row))
    assert InboxMessage.objects.count() == 1
    assert not OutboxMessage.objects.exists()
