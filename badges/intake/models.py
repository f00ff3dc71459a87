"""The inbox, and whom its events are about."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.fields import KeyField, UnconstrainedOneToOneField


class Learner(models.Model):
    """
    Somebody who makes progress: what progress, credentials and mail point at, and the lock that serialises them.

    Written by the intake when an event first matters to somebody, and by staff who award by hand. It survives the
    account: when the host deletes the user, ``user`` becomes NULL and the history stays. ``uuid`` is the opaque name
    that providers get instead of any id of the LMS.

    .. pii: The LMS user id, which identifies a person at the LMS.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    uuid = models.UUIDField(_("UUID"), unique=True, default=uuid7, editable=False)
    lms_user_id = models.BigIntegerField(_("LMS user id"), unique=True, null=True, blank=True)
    user = UnconstrainedOneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="badges_learner"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("learner")
        verbose_name_plural = _("learners")

    def __str__(self) -> str:
        return self.user.get_username() if self.user else str(self.lms_user_id or self.uuid)


class InboxState(models.TextChoices):
    """Where an event is on its way."""

    PENDING = "pending", _("waiting")  # written down, not decided yet; ``due_at`` says when to look
    PROCESSED = "processed", _("processed")  # decided; what it caused is committed with this state
    UNMATCHED = "unmatched", _("no match")  # a near miss, kept because keep_unmatched is on
    DEAD = "dead", _("dead letter")  # cannot be used; ``reason`` says why; an operator may retry it


class InboxMessage(models.Model):
    """
    One event that somebody cares about, or one that could not be used.

    Written by a door in the same transaction that decides it (the consumer), or before (``pending``: REST, signal
    receivers, webhooks) and then decided by ``pipeline.process_pending``. ``event_id`` is unique, so an event counts
    once however often it arrives; what could not be decoded gets an id made of its place and its content
    (``kafka:topic/partition@offset …``), and keeps it when it is retried.

    ``due_at`` is set while a row waits and NULL once it does not; claiming a row moves it ahead by the lease.
    ``payload`` is the stored text, the only thing rules read; it expires after ``payload_days``. A decided row goes
    after ``event_days``: from then on only what the event fulfilled keeps it from counting twice.

    .. pii: The payload may hold username, e-mail, name; the LMS user id is kept to find rows of a retired learner.
    .. pii_types: id, name, username, email_address
    .. pii_retirement: local_api
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event_id = KeyField(_("event id"), max_length=255, unique=True)
    event_type = KeyField(_("event type"), max_length=255, blank=True)
    event_time = models.DateTimeField(_("event time"), null=True, blank=True)
    lms_user_id = models.BigIntegerField(_("LMS user id"), null=True, blank=True, db_index=True)
    payload = models.TextField(_("stored event"), null=True, blank=True)
    source = models.CharField(_("came in by"), max_length=255, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=InboxState.choices)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    received_at = models.DateTimeField(_("received"))
    processed_at = models.DateTimeField(_("processed"), null=True, blank=True)

    class Meta:
        verbose_name = _("inbox message")
        verbose_name_plural = _("inbox messages")
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(fields=["due_at"], name="lms_badges_inbox_due"),
            models.Index(fields=["state", "received_at"], name="lms_badges_inbox_state"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="pending", due_at__isnull=False)
                | (~models.Q(state="pending") & models.Q(due_at__isnull=True)),
                name="lms_badges_inbox_due_while_pending",
            )
        ]

    def __str__(self) -> str:
        return self.event_id
