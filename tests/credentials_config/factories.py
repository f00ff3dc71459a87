"""Rows of scheduled credentials for tests. Defaults are distinct on purpose: a test that swaps two of them fails."""

from __future__ import annotations

import datetime as dt

import factory

from badges.models import Run
from credentials_config.issuing.codes import new_code
from credentials_config.models import (
    Credential,
    CredentialConfiguration,
    CredentialRun,
    CredentialStatus,
    CredentialType,
)
from tests.factories import ALGEBRA, NOON, LearnerFactory


class CredentialTypeFactory(factory.django.DjangoModelFactory):
    """A kind of credential, for those on a list."""

    class Meta:
        model = CredentialType

    name = factory.Sequence(lambda number: f"Marsupial certificate {number}")
    processor = "csv_list"
    generator = "pdf"
    options = factory.LazyFunction(dict)


class CredentialConfigurationFactory(factory.django.DjangoModelFactory):
    """A kind of credential that is given in a course."""

    class Meta:
        model = CredentialConfiguration

    context_key = ALGEBRA
    credential_type = factory.SubFactory(CredentialTypeFactory)
    enabled = True


class CredentialFactory(factory.django.DjangoModelFactory):
    """A learner's credential, with its document, unless told otherwise."""

    class Meta:
        model = Credential

    verification_code = factory.LazyFunction(new_code)
    learner = factory.SubFactory(LearnerFactory)
    configuration = factory.SubFactory(CredentialConfigurationFactory)
    status = CredentialStatus.AVAILABLE
    active_key = factory.LazyAttribute(
        lambda row: None if row.status in (CredentialStatus.INVALIDATED, CredentialStatus.EXPIRED) else "active"
    )
    learner_name = factory.Sequence(lambda number: f"Spip Écureuil {number}")
    context_name = "Algebra for squirrels"
    issued_at = NOON
    document = factory.LazyAttribute(lambda row: f"credentials/xx/{row.verification_code.lower()}.pdf")
    document_number = 1


class RunFactory(factory.django.DjangoModelFactory):
    """A run of the kind ``credentials`` that is over, unless told otherwise."""

    class Meta:
        model = Run

    class Params:
        is_open = factory.Trait(state="open", active_key="active", due_at=NOON, finished_at=None)

    kind, task, mode, state, active_key = "credentials", "credentials_config.run", "apply", "done", None
    asked_at = NOON
    finished_at = NOON + dt.timedelta(minutes=2)
    done, counts = 40, '{"eligible": 12}'


class CredentialRunFactory(factory.django.DjangoModelFactory):
    """A run that is over."""

    class Meta:
        model = CredentialRun

    configuration = factory.SubFactory(CredentialConfigurationFactory)
    run = factory.SubFactory(RunFactory, subject=factory.SelfAttribute("..configuration.pk"))
    cause = "schedule"
    issued, failed = 11, 1
