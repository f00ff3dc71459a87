"""The tables of the sticker flows."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.fields import KeyField, UnconstrainedForeignKey


class IdempotentRequest(models.Model):
    """
    A request that was sent with an ``Idempotency-Key``, and its answer.

    Written by ``flows.idempotency``. The row begins when the request begins: ``claim`` says who carries it out, until
    ``leased_until`` at the latest. The answer is written in the transaction of the decision, and clears both. Without a
    decision the row is deleted. A process that is killed leaves a row whose lease ends; the next request with the same
    key then carries it out. An answer counts for 24 hours. After that the key may be used again, and ``badges_purge``
    deletes the row.

    ``digest`` is a keyed hash of method, path and key, ``body_digest`` one of the body. So the row does not tell who
    was named in them. The answer names a person only by the UUID of the learner.

    .. pii: The account that sent the request.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    account = UnconstrainedForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = KeyField(max_length=64)
    body_digest = KeyField(max_length=64)
    claim = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    answer = models.TextField(_("answer"), null=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        default_permissions = ()
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], name="lms_badges_request_once"),
            models.CheckConstraint(
                condition=models.Q(
                    claim__isnull=False, leased_until__isnull=False, status__isnull=True, answer__isnull=True
                )
                | models.Q(claim__isnull=True, leased_until__isnull=True, status__isnull=False, answer__isnull=False),
                name="lms_badges_request_runs_or_is_answered",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="lms_badges_request_created")]

    def __str__(self) -> str:
        return self.digest
