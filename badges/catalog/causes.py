"""Causes: the event or person that caused a decision, and the revision of the template at that time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.catalog.models import TemplateRevision
from badges.fields import KeyField, UnconstrainedForeignKey

REASON_LENGTH = 500


class CauseKind(models.TextChoices):
    """What caused a fulfilment, a reset, an award or a revocation: an event, an activity, a person, or other code."""

    EVENT = "event", _("learning event")
    CONDITION = "condition", _("badge condition")  # an activity, after which the condition of the template's slug held
    # A criteria document became true without a new event, or a badge ended that had been earned anew before.
    TIME = "time", _("time passed")
    EXPIRED = "expired", _("badge expired")  # the time of the credential was over, so its facts do not count any more
    PERSON = "person", _("person")
    PROGRAM = "program", _("other code")  # code of the host or of another plugin, which named no person


@dataclass(frozen=True)
class Cause:
    """
    The cause of a decision, before it is stored.

    An event has a source, an id, a type and a time, and so has the activity of a badge condition, whose type is its
    kind. A person has a user id. What a person or other code decided in a bulk run has the id of the run as the event
    id, and the kind of the run as the event type. Where time passed, ``event_time`` is the moment at which the criteria
    document became true, or the badge ended that had been earned anew before. Where a badge expired, it is the moment
    up to which facts counted for that badge.
    """

    kind: CauseKind
    event_source: str = ""
    event_id: str = ""
    event_type: str = ""
    event_time: dt.datetime | None = None
    person_id: int | None = None
    reason: str = ""

    def fields(self, prefix: str = "cause") -> dict[str, object]:
        """Return the column values of a ``Caused`` row. ``prefix`` is the beginning of the column names."""
        return {
            f"{prefix}_kind": self.kind,
            f"{prefix}_event_source": self.event_source,
            f"{prefix}_event_id": self.event_id,
            f"{prefix}_event_type": self.event_type,
            f"{prefix}_event_time": self.event_time,
            f"{prefix}_person_id": self.person_id,
            f"{prefix}_reason": self.reason,
        }


class Caused(models.Model):
    """
    A row with its cause.

    The cause stays when the stored payload of the event expires. It also stays when the person's account is deleted.
    """

    cause_kind = models.CharField(_("cause"), max_length=10, choices=CauseKind.choices)
    cause_event_source = KeyField(_("event source"), max_length=255, blank=True)
    cause_event_id = KeyField(_("event id"), max_length=255, blank=True)
    cause_event_type = KeyField(_("event type"), max_length=255, blank=True)
    cause_event_time = models.DateTimeField(_("event time"), null=True, blank=True)
    cause_person = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    cause_reason = models.CharField(_("reason"), max_length=REASON_LENGTH, blank=True)
    revision = models.ForeignKey(TemplateRevision, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True
