"""The outbox."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.fields import KeyField


class OutboxState(models.TextChoices):
    """Where a message is on its way."""

    PENDING = "pending", _("waiting")  # ``due_at`` says when it is tried (again); a claim moves that ahead by the lease
    DELIVERED = "delivered", _("delivered")
    DEAD = "dead", _("dead letter")  # ``last_error`` says what to do; an operator may requeue it


class OutboxMessage(models.Model):
    """
    Something that must happen outside of our database: one row, written in the transaction of the decision.

    The row is the truth; a Celery task only notifies whoever delivers it. ``sequence`` is the order of decisions: rows
    with the same channel and key (a learner) are delivered in that order, one at a time. A dead letter lets the next
    one pass. ``payload`` holds ids only; texts are built at delivery. Columns are named as Debezium's outbox router
    expects.

    A worker claims a row before it delivers it (``common.claims``). ``due_at`` is NULL once nothing is left to do. A
    row that was not tried because its circuit is open has it in ``postponed_for``, and is due when the circuit closes.

    .. no_pii: Payloads are ids and slugs by contract.
    """

    sequence = models.BigAutoField(primary_key=True)
    id = models.UUIDField(_("id"), unique=True, default=uuid7, editable=False)
    channel = KeyField(_("channel"), max_length=50, db_column="aggregatetype")
    key = KeyField(_("ordering key"), max_length=100, db_column="aggregateid")
    type = KeyField(_("what happened"), max_length=100)
    payload = models.TextField(_("payload"))
    state = models.CharField(_("state"), max_length=10, choices=OutboxState.choices, default=OutboxState.PENDING)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    postponed_for = KeyField(_("postponed for"), max_length=255, blank=True, default="")  # the circuit that was open
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_outboxmessage", "Can view outbox messages"),
            ("retry_lms_badges_outboxmessage", "Can retry outbox messages"),
        ]
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox messages")
        ordering = ["-sequence"]
        indexes = [
            models.Index(fields=["due_at", "sequence"], name="lms_badges_outbox_due"),
            models.Index(fields=["channel", "key", "due_at"], name="lms_badges_outbox_order"),
            models.Index(fields=["state", "created_at"], name="lms_badges_outbox_state"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="pending", due_at__isnull=False)
                | (~models.Q(state="pending") & models.Q(due_at__isnull=True)),
                name="lms_badges_outbox_due_while_pending",
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} #{self.sequence}"

    def read(self) -> dict[str, Any]:
        """Return the payload as its sender gave it."""
        content: dict[str, Any] = json.loads(self.payload)
        return content


class Circuit(models.Model):
    """
    Whether the other side (``credly:<organization>``) is worth talking to right now.

    Written by delivery after failures of the other side as a whole. ``open_until`` in the future means that its rows
    are postponed, without losing an attempt. A success resets it.

    .. no_pii:
    """

    name = KeyField(_("name"), max_length=255, unique=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    open_until = models.DateTimeField(_("open until"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_circuit", "Can view circuits"),
        ]
        verbose_name = _("circuit")
        verbose_name_plural = _("circuits")

    def __str__(self) -> str:
        return self.name
