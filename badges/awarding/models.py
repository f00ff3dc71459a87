"""Credentials: the fact that a learner holds a badge."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.catalog.causes import REASON_LENGTH, Caused, CauseKind
from badges.catalog.models import BadgeTemplate, TemplateRevision
from badges.fields import KeyField, UnconstrainedForeignKey

ACTIVE = "active"
PUBLIC_REASON_LENGTH = 255
INTERNAL_REASON_LENGTH = 500


class CredentialStatus(models.TextChoices):
    """Whether the learner holds the badge."""

    AWARDED = "awarded", _("awarded")
    REVOKED = "revoked", _("revoked")
    EXPIRED = "expired", _("expired")
    REPLACED = (
        "replaced",
        _("replaced"),
    )  # earned anew before its end: the learner has a newer credential


class UserCredential(Caused):
    """
    A learner was awarded a badge, with the cause.

    Written by ``badges.granting`` in the transaction of the decision, while the learner's row is locked. Outbox
    messages of the same transaction announce it and issue it at providers. ``awarded_at`` is the time of the award,
    which providers get too. The credential is active while ``active_key`` has its constant; the database allows one
    active credential per learner and template. A row is never deleted and its cause never changes. A badge that was
    revoked and is earned again is a new row.

    A credential of a template with an expiry ends at ``valid_until``, which is computed at the award. From that moment
    on the learner does not hold the badge; use ``status_at`` and ``held`` to read rows. Later the row is marked as
    expired (``badges.granting.expiring``). If the badge is earned anew shortly before its end, the row is marked as
    replaced, and the new row points at it (``replaces``). ``ended_at`` is when it expired or was replaced.

    A revoked credential has a second cause: when it was revoked, by what or whom, and why. ``public_reason`` is what
    the learner, the providers and everybody who can open the public page may read, ``internal_reason`` is for staff.
    ``blocked`` is set when a person revoked it: the learner does not get the badge again until staff lift the block.
    Then ``blocked`` is cleared, and ``block_lifted_at``, ``block_lifted_person`` (None for other code) and
    ``block_lifted_reason`` say when, by whom and why. Nothing else of a revocation changes.

    ``is_public`` is set by the learner, who may change it at any time, whatever the status is. Whether anybody may read
    about the credential depends on the settings, too: ``badges.awarding.sharing`` says so, and nothing else asks this
    column.

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
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    replaces = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("replaces"),
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    public_reason = models.CharField(_("reason for the learner"), max_length=PUBLIC_REASON_LENGTH, blank=True)
    internal_reason = models.CharField(_("reason for staff"), max_length=INTERNAL_REASON_LENGTH, blank=True)
    blocked = models.BooleanField(_("blocked"), default=False)
    revocation_kind = models.CharField(_("cause of the revocation"), max_length=10, choices=CauseKind, blank=True)
    revocation_event_source = KeyField(_("event source"), max_length=255, blank=True)
    revocation_event_id = KeyField(_("event id"), max_length=255, blank=True)
    revocation_event_type = KeyField(_("event type"), max_length=255, blank=True)
    revocation_event_time = models.DateTimeField(_("event time"), null=True, blank=True)
    revocation_person = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    revocation_revision = models.ForeignKey(
        TemplateRevision, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    block_lifted_at = models.DateTimeField(_("block lifted"), null=True, blank=True)
    block_lifted_person = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    block_lifted_reason = models.CharField(_("reason"), max_length=REASON_LENGTH, blank=True)
    # The database has the default, too: while a host is upgraded, processes without this column still insert rows.
    is_public = models.BooleanField(_("public"), default=False, db_default=False)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_usercredential", "Can view user credentials"),
            ("award_lms_badges_usercredential", "Can award badges"),
            ("revoke_lms_badges_usercredential", "Can revoke badges and lift blocks"),
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
                | models.Q(active_key__isnull=True, status__in=["revoked", "expired", "replaced"]),
                name="lms_badges_active_while_awarded",
            ),
            models.CheckConstraint(
                condition=(models.Q(status="revoked", revoked_at__isnull=False) & ~models.Q(revocation_kind=""))
                | (~models.Q(status="revoked") & models.Q(revoked_at__isnull=True, revocation_kind="")),
                name="lms_badges_revoked_has_cause",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["expired", "replaced"], ended_at__isnull=False, valid_until__isnull=False
                )
                | (~models.Q(status__in=["expired", "replaced"]) & models.Q(ended_at__isnull=True)),
                name="lms_badges_ended_credential",
            ),
            models.CheckConstraint(
                condition=models.Q(blocked=False) | models.Q(status="revoked"), name="lms_badges_blocked_while_revoked"
            ),
            models.CheckConstraint(
                condition=models.Q(block_lifted_at__isnull=True, block_lifted_reason="")
                | models.Q(block_lifted_at__isnull=False, status="revoked", blocked=False),
                name="lms_badges_lifted_after_block",
            ),
        ]
        indexes = [
            models.Index(fields=["awarded_at", "id"], name="lms_badges_credential_newest"),
            models.Index(fields=["learner", "awarded_at"], name="lms_badges_credential_learner"),
            models.Index(fields=["active_key", "valid_until"], name="lms_badges_credential_ends"),
        ]

    def __str__(self) -> str:
        return f"{self.template} / {self.learner_id}"

    def status_at(self, moment: dt.datetime) -> str:
        """Return the status at a moment: the badge has expired at its end, and not when the row is marked."""
        is_over = self.valid_until is not None and self.valid_until <= moment
        return CredentialStatus.EXPIRED if self.status == CredentialStatus.AWARDED and is_over else self.status


def held(moment: dt.datetime) -> models.Q:
    """Return the condition for credentials that are held at a moment: active, and not at their end yet."""
    return models.Q(active_key=ACTIVE) & (models.Q(valid_until=None) | models.Q(valid_until__gt=moment))


def with_status(status: str, moment: dt.datetime) -> models.Q:
    """Return the condition for credentials that have a status at a moment (``UserCredential.status_at``)."""
    if status == CredentialStatus.AWARDED:
        return held(moment)
    if status == CredentialStatus.EXPIRED:
        return models.Q(status=status) | models.Q(active_key=ACTIVE, valid_until__lte=moment)
    return models.Q(status=status)
