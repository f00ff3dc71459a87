"""Credentials: the fact that a learner holds a badge."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.catalog.causes import Caused
from badges.catalog.models import BadgeTemplate

ACTIVE = "active"


class CredentialStatus(models.TextChoices):
    """Whether the learner holds the badge."""

    AWARDED = "awarded", _("awarded")
    REVOKED = "revoked", _("revoked")


class UserCredential(Caused):
    """
    A learner was awarded a badge, with the cause.

    Written by the pipeline in the transaction of the decision, while the learner's row is locked. Outbox messages of
    the same transaction announce it and issue it at providers. ``awarded_at`` is the time of the award, which providers
    get too. The credential is active while ``active_key`` has its constant; the database allows one active credential
    per learner and template. A row is never deleted and its cause never changes. A badge that was revoked and is earned
    again is a new row.

    ``learner_template_id`` is computed from learner and template (``catalog.learner_template_ids``), so a batch finds
    its rows by it. The tables of providers (``CredlyBadge``) extend a row one-to-one and share its id.

    .. no_pii: Points at a learner; holds nothing personal itself.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    learner = models.ForeignKey("lms_badges.Learner", on_delete=models.PROTECT, related_name="credentials")
    template = models.ForeignKey(BadgeTemplate, on_delete=models.PROTECT, related_name="credentials")
    learner_template_id = models.UUIDField(editable=False, db_index=True)
    status = models.CharField(_("status"), max_length=10, choices=CredentialStatus.choices)
    active_key = models.CharField(max_length=6, null=True, blank=True, default=ACTIVE, editable=False)
    awarded_at = models.DateTimeField(_("awarded"))

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_usercredential", "Can view user credentials"),
        ]
        verbose_name = _("user credential")
        verbose_name_plural = _("user credentials")
        ordering = ["-awarded_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["learner", "template", "active_key"], name="lms_badges_one_active_credential"
            ),
            # "Not null" is needed too: a comparison with NULL is neither true nor false, and a check accepts that.
            models.CheckConstraint(
                condition=models.Q(active_key__isnull=False, active_key=ACTIVE, status="awarded")
                | models.Q(active_key__isnull=True, status="revoked"),
                name="lms_badges_active_while_awarded",
            ),
        ]
        indexes = [
            models.Index(fields=["awarded_at", "id"], name="lms_badges_credential_newest"),
            models.Index(fields=["learner", "awarded_at"], name="lms_badges_credential_learner"),
        ]

    def __str__(self) -> str:
        return f"{self.template} / {self.learner_id}"
