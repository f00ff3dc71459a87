"""Remove what other services have told about a person who left."""

from __future__ import annotations

import datetime as dt

from badges.common.retirement import RetiringPerson
from badges.flows.models import CertificationAward, CertificationCompletion, StickerClaim, WelcomeAward

TABLES = {
    "claims": StickerClaim,
    "completed certifications": CertificationCompletion,
    "badges given by certifications": CertificationAward,
    "welcome badges": WelcomeAward,
}


def delete_personal_data(person: RetiringPerson, *, now: dt.datetime) -> dict[str, int]:
    """Delete a person's rows; return how many, by what they are. The badges stay, as all credentials do."""
    if person.learner_id is None:
        return {}
    return {what: model._base_manager.filter(learner=person.learner_id).delete()[0] for what, model in TABLES.items()}
