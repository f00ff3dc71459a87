"""What the database itself refuses of scheduled credentials, whichever code writes."""

from __future__ import annotations

from typing import Any

import pytest

from badges.models import Run
from credentials_config.models import Credential, CredentialConfiguration
from tests.credentials_config.factories import (
    CredentialConfigurationFactory,
    CredentialFactory,
    CredentialRunFactory,
)
from tests.factories import NOON
from tests.support.constraints import again, refused

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


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
    row = CredentialRunFactory(run__is_open=True)
    refused(lambda: CredentialRunFactory(configuration=row.configuration, run__is_open=True))
    CredentialRunFactory(configuration=row.configuration)
    refused(lambda: Run.objects.filter(pk=row.pk).update(active_key="other"))


def test_a_kind_of_credential_is_configured_once_in_a_context() -> None:
    refused(again(CredentialConfigurationFactory(), periodic_task=None))


@pytest.mark.parametrize("availability", ["after_end", "on_date"])
def test_an_availability_that_needs_a_date_has_one(availability: str) -> None:
    row = CredentialConfigurationFactory()
    configurations = CredentialConfiguration.objects.filter(pk=row.pk)
    refused(lambda: configurations.update(availability=availability))
    assert configurations.update(availability=availability, days_after_end=3, available_on=NOON) == 1
