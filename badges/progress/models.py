"""The progress of learners on templates, and the fulfilments that it consists of."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.catalog.causes import Caused, CauseKind
from badges.catalog.models import BadgeRequirement, BadgeTemplate, TemplateRevision
from badges.fields import KeyField, UnconstrainedForeignKey

ACTIVE = "active"


class BadgeProgress(models.Model):
    """
    A learner has begun to earn a template's badge.

    Written with the first fulfilment, while the learner's row is locked. ``completed_at`` is the time at which every
    group of requirements first had a fulfilled member; the award follows in the same transaction. How many groups are
    fulfilled is not stored: it is read from the active fulfilments and the template's requirements. ``id`` is computed
    from learner and template (``catalog.learner_template_ids``), so a batch finds its rows by it.

    .. no_pii: Points at a learner; holds nothing personal itself.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    learner = models.ForeignKey("lms_badges.Learner", on_delete=models.PROTECT, related_name="progress")
    template = models.ForeignKey(BadgeTemplate, on_delete=models.PROTECT, related_name="progress")
    created_at = models.DateTimeField(_("begun"))
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_badgeprogress", "Can view badge progress"),
        ]
        verbose_name = _("badge progress")
        verbose_name_plural = _("badge progress")
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["learner", "template"], name="lms_badges_progress_once")]

    def __str__(self) -> str:
        return f"{self.template} / {self.learner_id}"


class Fulfillment(Caused):
    """
    A learner met a requirement, with the cause.

    Written by the pipeline, while the learner's row is locked. It is active while ``active_key`` has its constant. A
    reset sets ``active_key`` to NULL, and the row stays as history. So the unique constraint allows one active
    fulfilment per progress and requirement on every database; MariaDB and MySQL have no conditional unique index.

    The cause is the fact that fulfilled the requirement. While the fulfilment is active, later facts of the same
    requirement are not new rows: the newest of them is in the ``newest_event`` columns. They are NULL while there is
    only the first one. A reset writes ``reset_at`` and its cause into the ``reset`` columns, which are NULL before.

    .. pii: The account of a person who caused it by hand, and the reason that this person wrote.
    .. pii_types: id, other
    .. pii_retirement: local_api
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    progress = models.ForeignKey(BadgeProgress, on_delete=models.CASCADE, related_name="fulfillments")
    requirement = models.ForeignKey(BadgeRequirement, on_delete=models.PROTECT, related_name="fulfillments")
    active_key = models.CharField(max_length=6, null=True, blank=True, default=ACTIVE, editable=False)
    fulfilled_at = models.DateTimeField(_("fulfilled"))
    newest_event_source = KeyField(_("source of the newest event"), max_length=255, null=True, blank=True)
    newest_event_id = KeyField(_("id of the newest event"), max_length=255, null=True, blank=True)
    newest_event_time = models.DateTimeField(_("time of the newest event"), null=True, blank=True)
    reset_at = models.DateTimeField(_("reset"), null=True, blank=True)
    reset_kind = models.CharField(
        _("cause of the reset"), max_length=10, choices=CauseKind.choices, null=True, blank=True
    )
    reset_event_source = KeyField(_("event source of the reset"), max_length=255, null=True, blank=True)
    reset_event_id = KeyField(_("event id of the reset"), max_length=255, null=True, blank=True)
    reset_event_type = KeyField(_("event type of the reset"), max_length=255, null=True, blank=True)
    reset_event_time = models.DateTimeField(_("event time of the reset"), null=True, blank=True)
    reset_person = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reset_reason = models.CharField(_("reason of the reset"), max_length=500, null=True, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("fulfillment")
        verbose_name_plural = _("fulfillments")
        ordering = ["fulfilled_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["progress", "requirement", "active_key"], name="lms_badges_one_active_fulfillment"
            ),
            models.CheckConstraint(
                condition=models.Q(active_key__isnull=False, active_key=ACTIVE, reset_at__isnull=True)
                | models.Q(active_key__isnull=True, reset_at__isnull=False, reset_kind__isnull=False),
                name="lms_badges_fulfillment_active_until_reset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requirement_id} by {self.cause_event_id or self.cause_kind}"


class RequirementReset(models.Model):
    """
    Up to when facts of a requirement are void for a person, because a penalty reset it.

    Written by the pipeline when it decides a penalty's event, also for people without a learner: a fact that is older
    than the penalty may arrive later, and is void then. There is one row for a person and a requirement, with the
    newest reset. It is read where ``BadgeRequirement.may_be_reset`` is set.

    ``person`` is the LMS user id. For a learner who has none it is minus the primary key of the learner, as in the
    event log (``LoggedEvent``). ``received_at`` is when the pipeline decided the event.

    Deleted when the person is retired; without a learner also after ``penalty_days``.

    .. pii: The LMS user id, and that a penalty applied to the person.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    person = models.BigIntegerField(_("person"))
    requirement = models.ForeignKey(BadgeRequirement, on_delete=models.CASCADE, related_name="resets")
    void_until = models.DateTimeField(_("facts are void until"))
    kind = models.CharField(_("cause"), max_length=10, choices=CauseKind.choices)
    event_source = KeyField(_("event source"), max_length=255, blank=True)
    event_id = KeyField(_("event id"), max_length=255, blank=True)
    event_type = KeyField(_("event type"), max_length=255, blank=True)
    # Deleted with the template, as the requirement is. Causes of learners protect their revision.
    revision = models.ForeignKey(TemplateRevision, on_delete=models.CASCADE, related_name="+")
    received_at = models.DateTimeField(_("received"))

    class Meta:
        default_permissions = ()
        verbose_name = _("reset of a requirement")
        verbose_name_plural = _("resets of requirements")
        ordering = ["person", "requirement"]
        constraints = [models.UniqueConstraint(fields=["person", "requirement"], name="lms_badges_one_reset")]
        indexes = [models.Index(fields=["received_at"], name="lms_badges_reset_age")]

    def __str__(self) -> str:
        return f"{self.requirement_id} until {self.void_until}"
