"""
Mail to learners about their badges: that they have earned one, and that one ends soon.

A message of the outbox (channel ``mail``) holds ids only. ``channel`` looks everything up when the mail is sent,
``reminders`` finds the badges that end soon, ``opting_out`` knows who wants no mail. Nothing is sent unless the
settings say so.
"""

from __future__ import annotations

import uuid

from badges.conf import config, number_of_days
from badges.outbox.mailbox import NewMessage

CHANNEL = "mail"
# What a mail is about: the type of its message, and the kind of its mark.
AWARD, REMINDER = "award", "reminder"


def tells_of_awards() -> bool:
    """Return whether this host wants learners to be told of new badges."""
    return bool(config.mail["awards"])


def reminder_days() -> float:
    """Return how many days before the end of a badge its learner is reminded; 0: never."""
    return number_of_days(config.mail["reminder_days"])


def message_about(kind: str, *, learner_id: int, credential_id: uuid.UUID) -> NewMessage:
    """Return the outbox message of a mail. The mails to one learner are sent in their order."""
    return NewMessage(CHANNEL, key=str(learner_id), type=kind, payload={"credential": str(credential_id)})
