"""Credentials: one row for each credential of a learner."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.fields import KeyField
from credentials_config.models.configuration import CredentialConfiguration
from credentials_config.models.run import CredentialRun

ACTIVE = "active"


class CredentialStatus(models.TextChoices):
    """The states of a credential."""

    GENERATING = "generating", _("being made")  # a worker makes the document at ``due_at``
    AVAILABLE = "available", _("available")  # the learner has it, also while a reissue is made
    ERROR = "error", _("error")  # see ``error``; tried again at ``due_at``, or by a person when that is NULL
    INVALIDATED = "invalidated", _("invalidated")  # taken back by a person, with a public reason
    EXPIRED = "expired", _("expired")


class Credential(models.Model):
    """
    A credential of one learner, by one configuration, and its document.

    A run writes it ``generating`` for every eligible learner, in bulk; staff may also issue it by hand. A worker claims
    the row (``due_at`` moves ahead by the lease, ``claim`` identifies the worker), makes and stores the document, and
    sets ``available``. When the document cannot be made, the state is ``error`` until a later attempt succeeds. A
    person may invalidate the credential, and time lets it expire; both are final, and the row stays so that its code
    can be verified. Reissuing makes a new document for the same row: ``verification_code`` and ``issued_at`` stay.

    The credential is active while it is generating, available or in error. ``active_key`` is a constant then, and NULL
    afterwards, so that the database allows one active credential per learner and configuration.

    ``claims`` counts the workers that began on the next document. Each stores it under a name of its own
    (``documents.file_name``). ``document`` is the name of the file in the storage. ``made_from`` holds the slugs and
    versions of the assets, and the generator's version. Names are as the document shows them; they do not follow the
    account. ``reissue`` holds what the next document will show instead (``learner_name``, ``context_name``), and
    whether the learner is told (``mail``), until that document is there. ``mailed`` is the number of the newest
    document that the learner was told of. It is committed together with the mail's last line (``badges.common.mail``),
    so that no worker sends a second mail.

    .. pii: The learner's name as the document shows it, and the document itself.
    .. pii_types: name
    .. pii_retirement: local_api
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    verification_code = KeyField(_("verification code"), max_length=40, unique=True)
    learner = models.ForeignKey("lms_badges.Learner", on_delete=models.PROTECT, related_name="scheduled_credentials")
    configuration = models.ForeignKey(CredentialConfiguration, on_delete=models.PROTECT, related_name="credentials")
    run = models.ForeignKey(CredentialRun, on_delete=models.SET_NULL, null=True, blank=True, related_name="credentials")
    status = models.CharField(_("status"), max_length=12, choices=CredentialStatus.choices)
    active_key = models.CharField(max_length=6, null=True, blank=True, default=ACTIVE, editable=False)
    language = KeyField(_("language"), max_length=35, blank=True)
    learner_name = models.CharField(_("name on the document"), max_length=255, blank=True)
    context_name = models.CharField(_("context name"), max_length=255, blank=True)
    issued_at = models.DateTimeField(_("issued"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    document = models.CharField(_("document"), max_length=500, blank=True)
    document_number = models.PositiveIntegerField(_("document number"), default=0)
    mailed = models.PositiveIntegerField(_("mailed document"), default=0)
    reissue: models.JSONField[dict, dict] = models.JSONField(default=dict, blank=True, editable=False)
    made_from: models.JSONField[dict, dict] = models.JSONField(_("made from"), default=dict, blank=True)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    claims = models.PositiveIntegerField(default=0, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.CharField(_("error"), max_length=500, blank=True)
    invalidated_at = models.DateTimeField(_("invalidated"), null=True, blank=True)
    public_reason = models.CharField(_("public reason"), max_length=255, blank=True)
    internal_note = models.TextField(_("internal note"), blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_credentials_config_credential", "Can view credentials"),
            ("issue_lms_credentials_config_credential", "Can issue credentials"),
            ("reissue_lms_credentials_config_credential", "Can reissue credentials"),
            ("invalidate_lms_credentials_config_credential", "Can invalidate credentials"),
            ("retry_lms_credentials_config_credential", "Can retry credentials"),
        ]
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering = ("-issued_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["learner", "configuration", "active_key"], name="lms_cc_one_active_credential"
            ),
            # With "not null", because a comparison with NULL is neither true nor false, and a check lets it pass.
            models.CheckConstraint(
                condition=models.Q(
                    active_key__isnull=False, active_key=ACTIVE, status__in=("generating", "available", "error")
                )
                | models.Q(active_key__isnull=True, status__in=("invalidated", "expired")),
                name="lms_cc_active_while_held",
            ),
        )
        indexes = (
            models.Index(fields=["due_at"], name="lms_cc_credential_due"),
            models.Index(fields=["learner", "issued_at"], name="lms_cc_credential_learner"),
            models.Index(fields=["configuration", "status"], name="lms_cc_credential_status"),
            # For the newest rows of one status among a million, such as the few that failed.
            models.Index(fields=["status", "id"], name="lms_cc_credential_newest"),
            models.Index(fields=["expires_at"], name="lms_cc_credential_expires"),
        )

    def __str__(self) -> str:
        return self.verification_code
