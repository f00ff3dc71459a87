"""The badges that backfills have given, or would give."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeTemplate
from badges.fields import KeyField
from badges.intake.models import Learner
from badges.runs.models import Run


class BackfilledBadge(models.Model):
    """
    A badge that a backfill has given to a person, or that a plan would give.

    Written in the step of the run that decides the person, and never changed. Deleted with the run, and when the person
    is retired. The result of the run is made of these rows, so it is complete also when a worker was killed.

    ``person`` is who it is in the event log: the LMS user id, or minus the primary key of a learner who has none.
    ``learner`` is null in a plan for somebody who has no learner yet. ``credential`` is null in a plan. The event is
    the one that completed the badge; without a source it was a moment, because time alone made a criteria document
    true. ``events`` names, for people, the events of all requirements.

    .. pii: The LMS user id, and what the person did.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="backfilled_badges")
    person = models.BigIntegerField(_("person"))
    learner = models.ForeignKey(Learner, on_delete=models.PROTECT, null=True, related_name="+")
    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="+")
    credential = models.ForeignKey(UserCredential, on_delete=models.PROTECT, null=True, related_name="+")
    event_source = KeyField(_("event source"), max_length=255, blank=True)
    event_id = KeyField(_("event id"), max_length=255, blank=True)
    event_type = KeyField(_("event type"), max_length=255, blank=True)
    event_time = models.DateTimeField(_("event time"), null=True)
    events = models.TextField(_("events"), blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("badge of a backfill")
        verbose_name_plural = _("badges of backfills")
        constraints = [
            models.UniqueConstraint(fields=["run", "person", "template"], name="lms_badges_backfilled_once"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} / {self.person}"


def delete_of(people: list[int]) -> int:
    """Delete the rows about a person, given as the event log knows them; return how many."""
    return BackfilledBadge.objects.filter(person__in=people).delete()[0]
