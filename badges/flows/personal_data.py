"""Remove what other services have told about a person who left, and the registration here."""

from __future__ import annotations

from badges.flows.models import CertificationAward, CertificationCompletion, Registration, StickerClaim, WelcomeAward

TABLES = {
    "claims": StickerClaim,
    "completed certifications": CertificationCompletion,
    "badges given by certifications": CertificationAward,
    "welcome badges": WelcomeAward,
    "registrations": Registration,
}


def delete_of(learner_id: int) -> dict[str, int]:
    """Delete the rows of a learner; return how many, by what they are. The badges stay, as all credentials do."""
    return {what: model._base_manager.filter(learner=learner_id).delete()[0] for what, model in TABLES.items()}
