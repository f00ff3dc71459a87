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
    DEAD = "dead", _("dead letter")  # ``last_error`` says what to do; an operator may requeue or close it
    CLOSED = "closed", _("closed")  # an operator has decided that it is not delivered; ``closing_reason`` says why


class OutboxMessage(models.Model):
    """
    Something that must happen outside of our database: one row, written in the transaction of the decision.

    The row is the truth; a Celery task only notifies whoever delivers it. ``sequence`` is the order of decisions: rows
    with the same channel and key (a learner) are delivered in that order, one at a time. A dead letter lets the next
    one pass. ``payload`` holds ids only; texts are built at delivery. Columns are named as Debezium's outbox router
    expects.

    A worker claims a row before it delivers it (``common.claims``). ``due_at`` is NULL once nothing is left to do. A
    row that waits because its circuit is open has it in ``postponed_for``, and is due when the circuit closes.

    ``attempts`` are those that count: a row that uses up all of them is a dead letter. What only shows that the other
    side is down, or gets too many requests, does not count. ``failing_since`` is when that began; after some days the
    row is given up. ``met_problem``: the row itself was refused for a problem that others have too.

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
    failing_since = models.DateTimeField(_("other side down since"), null=True, blank=True)
    met_problem = models.BooleanField(default=False, db_default=False, editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    # The database has the defaults, too: while a host is upgraded, processes without these columns still insert rows.
    closing_reason = models.CharField(_("reason for closing"), max_length=500, blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("created"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    # Of a row that was claimed: another worker had claimed it and did not finish it. Not a column.
    was_left_behind = False

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_outboxmessage", "Can view outbox messages"),
            ("retry_lms_badges_outboxmessage", "Can retry outbox messages"),
            ("close_lms_badges_outboxmessage", "Can give up and close outbox messages"),
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


class CircuitReason(models.TextChoices):
    """Why a circuit is open."""

    OUTAGE = "outage", _("the other side is down")
    RATE_LIMIT = "rate_limit", _("too many requests")
    PROBLEM = "problem", _("an operator has to correct something")


class Circuit(models.Model):
    """
    Whether rows that need the same thing can be tried right now.

    That may be an organization at a provider (``credly:<organization>``), a template there
    (``credly:<organization>:<template>``), the mail server or a topic of the bus. Delivery writes the row after a
    failure that concerns all of them.

    ``open_until`` in the future means that nothing goes through until then, and the rows of the circuit are postponed
    without losing an attempt. ``reason`` and ``message`` say why, ``since`` since when. After that time one row goes
    through as a probe. A success closes the circuit: ``open_until`` is NULL.

    After too many requests, rows go through one by one: ``interval`` is the seconds between them as of ``paced_at``,
    and becomes shorter by itself (``outbox.pace``). ``next_at`` is when the next row goes.

    .. no_pii:
    """

    name = KeyField(_("name"), max_length=255, unique=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    open_until = models.DateTimeField(_("open until"), null=True, blank=True)
    reason = models.CharField(
        _("reason"), max_length=15, choices=CircuitReason.choices, blank=True, default="", db_default=""
    )
    since = models.DateTimeField(_("open since"), null=True, blank=True)
    message = models.CharField(_("message"), max_length=500, blank=True, default="", db_default="")
    interval = models.FloatField(_("seconds between requests"), default=0.0, db_default=0.0)
    paced_at = models.DateTimeField(_("slower since"), null=True, blank=True)
    next_at = models.DateTimeField(_("next request"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_circuit", "Can view circuits"),
            ("retry_lms_badges_circuit", "Can let circuits be tried again"),
        ]
        verbose_name = _("circuit")
        verbose_name_plural = _("circuits")

    def __str__(self) -> str:
        return self.name
