"""The inbox, and the learners that its events are about."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.catalog.learner_paths import ISSUER_LENGTH, SUBJECT_LENGTH
from badges.fields import KeyField, UnconstrainedOneToOneField

# Kafka's names of topics have up to 249 characters.
PLACE_LENGTH = 300
# The kind of inbox rows that are learning events.
EVENT = "event"


class Learner(models.Model):
    """
    A person who makes progress. Progress and credentials point at this row; its lock serialises their changes.

    Created by the pipeline when an event about a new person meets a requirement, and by other plugins through
    ``badges.api.get_or_create_learners``. It may begin without an account, when only the LMS user id is known, or
    without an LMS user id, when an event names an account of the host by its username. A later event with both adds
    what is missing. It outlives the account: when the host deletes the user, ``user`` becomes
    NULL and the history stays. ``badges.api.retire`` sets ``lms_user_id`` and ``user`` to NULL. ``uuid`` is the opaque
    id that providers get instead of any id of the LMS.

    ``account_learner`` is set when one person turns out to have two learners: this one, who has the LMS user id, and
    another one, who was found by the username before and has the account. Staff then give the account to this one
    (``learners.give_account``). After that, it is set on the other one, and names this one.

    .. pii: The LMS user id, which identifies a person at the LMS.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    uuid = models.UUIDField(_("UUID"), unique=True, default=uuid7, editable=False)
    lms_user_id = models.BigIntegerField(_("LMS user id"), unique=True, null=True, blank=True)
    user = UnconstrainedOneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="badges_learner"
    )
    account_learner = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("other learner with the account"),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_learner", "Can view learners"),
            ("join_lms_badges_learner", "Can give a learner the account of another learner of the same person"),
            ("retire_lms_badges_learner", "Can retire learners"),
        ]
        verbose_name = _("learner")
        verbose_name_plural = _("learners")

    def __str__(self) -> str:
        return self.user.get_username() if self.user else str(self.lms_user_id or self.uuid)

    @property
    def is_anonymous(self) -> bool:
        """
        Whether nothing says any more who this is.

        The person was retired, the only account is gone, or another learner of the person has it.
        """
        return self.lms_user_id is None and self.user_id is None


class LearnerIdentity(models.Model):
    """
    A learner's id at another system, so that events which hold only that id find their learner.

    Staff write it in the admin, by REST or from a file of CSV (``intake.identities``, ``bulk.identity_files``), and
    the host when somebody signs in through the issuer (``badges.api.link_sign_in``). Events never create or change one.
    ``issuer`` names the other system, as in a learner path ``external:<issuer>:<key path>`` or the setting
    ``flows.account_issuer``; ``subject`` is the id there. A learner may have several. ``badges.api.retire`` deletes
    them.

    .. pii: The id of a person at another system.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    issuer = KeyField(_("issuer"), max_length=ISSUER_LENGTH, help_text=_("The system that gave the id."))
    subject = KeyField(_("subject"), max_length=SUBJECT_LENGTH, help_text=_("The id of the learner at that system."))
    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="identities", verbose_name=_("learner"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_learneridentity", "Can view learner identities"),
            ("add_lms_badges_learneridentity", "Can add learner identities"),
            ("change_lms_badges_learneridentity", "Can change learner identities"),
            ("delete_lms_badges_learneridentity", "Can delete learner identities"),
        ]
        verbose_name = _("learner identity")
        verbose_name_plural = _("learner identities")
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="lms_badges_identity_once"),
            models.CheckConstraint(
                condition=~models.Q(issuer="") & ~models.Q(subject=""), name="lms_badges_identity_filled"
            ),
        ]

    def __str__(self) -> str:
        return self.issuer


class RetiredPerson(models.Model):
    """
    The keyed hash of the LMS user id of a person who was retired.

    Written by ``badges.api.retire``, and never changed or deleted. Intake ignores events about this person, so that a
    late event does not bring the person back. It tells nothing about the person to anybody without the key.

    .. no_pii:
    """

    digest = KeyField(_("digest"), max_length=64, primary_key=True)
    retired_at = models.DateTimeField(_("retired"))

    class Meta:
        default_permissions = ()
        verbose_name = _("retired person")
        verbose_name_plural = _("retired people")

    def __str__(self) -> str:
        return self.digest


class InboxState(models.TextChoices):
    """What became of an event."""

    PENDING = "pending", _("waiting")  # stored and not decided yet; due at ``due_at``
    PROCESSED = "processed", _("processed")  # decided; what it caused was committed together with this state
    UNMATCHED = "unmatched", _("no match")  # met no requirement; kept because ``keep_unmatched`` is on
    DEAD = "dead", _("dead letter")  # cannot be used; ``reason`` says why; an operator can retry it


class InboxMessage(models.Model):
    """
    One event that meets a requirement, or one that could not be used; or something else that was received.

    ``kind`` says what the row is: a learning event (``event``), or what ``badges.intake.kinds`` has a handler for. Rows
    of other kinds have no event type, and ``source`` and ``event_id`` are what their receiver identifies them by.

    A consumer writes the row in the transaction that decides the event. Signal receivers and the REST API write it
    before, with the state ``pending``; ``pipeline.process_pending`` then decides it. ``source`` and ``event_id`` are
    unique together, so an event counts once however often it arrives. What could not be decoded has an empty source and
    an id made of where it was read and its content (``kafka:topic/partition@offset …``). It keeps both when it is
    retried. No event has an empty source, so no sender can use such an id before.

    ``due_at`` is set while a row is pending, and NULL in every other state. Claiming a row moves ``due_at`` ahead by
    the lease. ``payload`` is the stored text, the only thing that rules read; it is deleted after ``payload_days``. A
    decided row is deleted after ``event_days``. Afterwards only the fulfilment keeps the event from counting twice.

    .. pii: The payload may hold username, e-mail, name. The LMS user id, or the digest of the name by which the event
      names its learner, is kept to find the rows of a retired learner.
    .. pii_types: id, name, username, email_address
    .. pii_retirement: local_api
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = KeyField(_("kind"), max_length=100, default=EVENT)
    source = KeyField(_("source"), max_length=255, blank=True)
    event_id = KeyField(_("event id"), max_length=255)
    event_type = KeyField(_("event type"), max_length=255, blank=True)
    event_time = models.DateTimeField(_("event time"), null=True, blank=True)
    lms_user_id = models.BigIntegerField(_("LMS user id"), null=True, blank=True, db_index=True)
    name_digest = models.CharField(max_length=64, null=True, blank=True, editable=False, db_index=True)
    payload = models.TextField(_("stored event"), null=True, blank=True)
    received_from = models.CharField(_("received from"), max_length=PLACE_LENGTH, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=InboxState.choices)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    received_at = models.DateTimeField(_("received"))
    processed_at = models.DateTimeField(_("processed"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_inboxmessage", "Can view inbox messages"),
            ("retry_lms_badges_inboxmessage", "Can retry inbox messages"),
        ]
        verbose_name = _("inbox message")
        verbose_name_plural = _("inbox messages")
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(fields=["due_at"], name="lms_badges_inbox_due"),
            models.Index(fields=["state", "received_at"], name="lms_badges_inbox_state"),
        ]
        constraints = [
            # The id first, so that its index also finds an event by the id alone.
            models.UniqueConstraint(fields=["event_id", "source"], name="lms_badges_inbox_identity"),
            models.CheckConstraint(
                condition=models.Q(state="pending", due_at__isnull=False)
                | (~models.Q(state="pending") & models.Q(due_at__isnull=True)),
                name="lms_badges_inbox_due_while_pending",
            ),
        ]

    def __str__(self) -> str:
        return self.event_id
