"""What the database itself refuses, whoever writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeRequirement, CatalogVersion, TemplateIssuer, TemplateRevision
from badges.intake.models import InboxMessage
from badges.outbox.models import OutboxMessage
from badges.progress.models import Fulfillment
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun
from tests.credentials_config.factories import (
    CredentialConfigurationFactory,
    CredentialFactory,
    CredentialRunFactory,
)
from tests.factories import (
    NOON,
    BadgeProgressFactory,
    FulfillmentFactory,
    InboxMessageFactory,
    OutboxMessageFactory,
    UserCredentialFactory,
    credly_issuer,
    make_template,
    requirement,
)

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


def refused(write: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        write()


def again(row: Any, **changes: Any) -> Callable[[], Any]:
    """Insert a row once more, under another key of its own."""

    def insert() -> None:
        copy = type(row).objects.get(pk=row.pk)
        copy.pk = type(row)._meta.pk.get_default()
        copy._state.adding = True
        for name, value in changes.items():
            setattr(copy, name, value)
        copy.save(force_insert=True)

    return insert


def test_a_learner_holds_a_badge_once_and_may_have_held_it_before() -> None:
    row = UserCredentialFactory()
    refused(again(row))
    again(row, status="revoked", active_key=None)()
    again(row, status="revoked", active_key=None)()


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
    again(row, active_key=None)()
    refused(lambda: Fulfillment.objects.filter(pk=row.pk).update(active_key="other"))


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


def test_an_event_is_stored_once() -> None:
    row = InboxMessageFactory()
    refused(again(row))
    assert InboxMessage.objects.count() == 1
    assert not OutboxMessage.objects.exists()


def test_nobody_holds_a_scheduled_credential_twice_and_anybody_may_have_held_it_before() -> None:
    row = CredentialFactory()
    refused(again(row, verification_code="ANOTHER"))
    again(row, verification_code="OLD-1", status="expired", active_key=None)()
    again(row, verification_code="OLD-2", status="invalidated", active_key=None)()


@pytest.mark.parametrize("half", [{"status": "expired"}, {"active_key": None}], ids=["expired", "open"])
def test_a_scheduled_credential_is_active_exactly_while_it_is_held(half: dict[str, Any]) -> None:
    row = CredentialFactory()
    refused(lambda: Credential.objects.filter(pk=row.pk).update(**half))


def test_a_configuration_has_one_open_run() -> None:
    row = CredentialRunFactory(active_key="active")
    refused(again(row))
    again(row, active_key=None)()
    refused(lambda: CredentialRun.objects.filter(pk=row.pk).update(active_key="other"))


def test_a_kind_of_credential_is_configured_once_in_a_context() -> None:
    refused(again(CredentialConfigurationFactory(), periodic_task=None))


@pytest.mark.parametrize("availability", ["after_end", "on_date"])
def test_an_availability_that_needs_a_date_has_one(availability: str) -> None:
    row = CredentialConfigurationFactory()
    configurations = CredentialConfiguration.objects.filter(pk=row.pk)
    refused(lambda: configurations.update(availability=availability))
    assert configurations.update(availability=availability, days_after_end=3, available_on=NOON) == 1
