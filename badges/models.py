"""The models of all packages of this app, imported for Django to find them."""

from badges.awarding.models import CredentialStatus, UserCredential
from badges.catalog.models import (
    BadgeRequirement,
    BadgeTemplate,
    CatalogVersion,
    DataRule,
    TemplateIssuer,
    TemplateRevision,
)
from badges.intake.models import InboxMessage, InboxState, Learner
from badges.issuers.credly.models import CredlyBadge, CredlyOrganization, CredlyState
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from badges.progress.models import BadgeProgress, Fulfillment

__all__ = [
    "BadgeProgress",
    "BadgeRequirement",
    "BadgeTemplate",
    "CatalogVersion",
    "Circuit",
    "CredentialStatus",
    "CredlyBadge",
    "CredlyOrganization",
    "CredlyState",
    "DataRule",
    "Fulfillment",
    "InboxMessage",
    "InboxState",
    "Learner",
    "OutboxMessage",
    "OutboxState",
    "TemplateIssuer",
    "TemplateRevision",
    "UserCredential",
]
