"""The models of all packages of this app, imported for Django to find them."""

from badges import issuers
from badges.awarding.models import CredentialStatus, UserCredential
from badges.backfill.models import BackfilledBadge
from badges.bulk.models import BulkOutcome, BulkRow
from badges.catalog.models import (
    BadgePenalty,
    BadgeRequirement,
    BadgeTemplate,
    CatalogVersion,
    DataRule,
    EventType,
    PenaltyDataRule,
    PenaltyRequirement,
    TemplateIssuer,
    TemplateRevision,
)
from badges.engagement.models import Activity, LearnerEngagement
from badges.flows.models import (
    CertificationAward,
    CertificationCompletion,
    CertificationMapping,
    IdempotentRequest,
    Registration,
    StickerClaim,
    WelcomeAward,
)
from badges.history.models import LoggedEvent
from badges.intake.models import InboxMessage, InboxState, Learner, LearnerIdentity, RetiredPerson
from badges.issuers.models import ProviderDifference, ProviderOrganization, ProviderTemplate, TemplateState
from badges.mail.models import CredentialMail, MailOptOut
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from badges.progress.models import BadgeProgress, Fulfillment, RequirementReset
from badges.runs.models import Run, RunMode, RunState

__all__ = [
    "Activity",
    "BackfilledBadge",
    "BadgePenalty",
    "BadgeProgress",
    "BadgeRequirement",
    "BadgeTemplate",
    "BulkOutcome",
    "BulkRow",
    "CatalogVersion",
    "CertificationAward",
    "CertificationCompletion",
    "CertificationMapping",
    "Circuit",
    "CredentialMail",
    "CredentialStatus",
    "DataRule",
    "EventType",
    "Fulfillment",
    "IdempotentRequest",
    "InboxMessage",
    "InboxState",
    "Learner",
    "LearnerEngagement",
    "LearnerIdentity",
    "LoggedEvent",
    "MailOptOut",
    "OutboxMessage",
    "OutboxState",
    "PenaltyDataRule",
    "PenaltyRequirement",
    "ProviderDifference",
    "ProviderOrganization",
    "ProviderTemplate",
    "Registration",
    "RequirementReset",
    "RetiredPerson",
    "Run",
    "RunMode",
    "RunState",
    "StickerClaim",
    "TemplateIssuer",
    "TemplateRevision",
    "TemplateState",
    "UserCredential",
    "WelcomeAward",
]

# The tables of the providers.
issuers.import_modules("models")
