"""The activities of learners, and the sums over them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.engagement.experience import MOST
from badges.fields import KeyField

KIND_LENGTH = 100


class Activity(models.Model):
    """
    One thing that a learner did: a quiz, a session with flashcards, or an event of the bus that counts as an activity.

    Written in the transaction that awards what it earns, while the learner's row is locked, and never changed. Deleted
    when the person is retired; otherwise it is kept, unlike the event log. So the XP rules and the time zone may change
    later, and all activities count by the new ones: no XP and no days are stored here.

    ``digest`` is ``badges.rules.event_digest`` of ``source`` and ``event_id``. A learner has an activity once, however
    often it is sent. ``score`` is a number of points and ``cards`` a number of cards, NULL where the activity has none.

    .. pii: What the learner did, and when.
    .. pii_types: other
    .. pii_retirement: local_api
    """

    learner = models.ForeignKey("lms_badges.Learner", on_delete=models.PROTECT, related_name="activities")
    digest = models.UUIDField(editable=False)
    kind = KeyField(_("kind"), max_length=KIND_LENGTH)
    source = KeyField(_("source"), max_length=255)
    event_id = KeyField(_("event id"), max_length=255)
    score = models.FloatField(_("score"), null=True, blank=True)
    cards = models.PositiveIntegerField(_("cards"), null=True, blank=True)
    occurred_at = models.DateTimeField(_("time"))
    received_at = models.DateTimeField(_("received"))

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_activity", "Can view activities")]
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["learner", "digest"], name="lms_badges_activity_once"),
            models.CheckConstraint(condition=~models.Q(kind=""), name="lms_badges_activity_has_kind"),
            # With an upper limit too: PostgreSQL takes NaN for the largest number.
            models.CheckConstraint(
                condition=models.Q(score__isnull=True) | models.Q(score__gte=0, score__lte=MOST),
                name="lms_badges_activity_score",
            ),
            models.CheckConstraint(
                condition=models.Q(cards__isnull=True) | models.Q(cards__gte=0, cards__lte=MOST),
                name="lms_badges_activity_cards",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} / {self.learner_id}"


class LearnerEngagement(models.Model):
    """
    The sums over all activities of one learner, so that an activity costs the same however many came before it.

    Everything but the time zone is derived from the activities and written with them. ``basis`` is a digest of the XP
    rules and the time zone that the sums were made with. When it differs from today's, they are made anew from the
    activities. ``counts`` is a JSON object, the number of activities by kind. ``runs`` is a JSON list of days in a row,
    ``[first, last]`` each (``badges.engagement.streaks``).

    ``time_zone`` is the IANA name that the learner's client has sent, or empty: then days are those of the site.

    .. pii: The learner's time zone, and the days on which the learner did something.
    .. pii_types: other
    .. pii_retirement: local_api
    """

    learner = models.OneToOneField(
        "lms_badges.Learner", on_delete=models.PROTECT, primary_key=True, related_name="engagement"
    )
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    basis = models.CharField(max_length=32, editable=False)
    total_xp = models.BigIntegerField(_("XP"))
    counts = models.TextField(editable=False)
    runs = models.TextField(editable=False)
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_learnerengagement", "Can view the engagement of learners")]
        verbose_name = _("engagement of a learner")
        verbose_name_plural = _("engagement of learners")
        constraints = [
            models.CheckConstraint(condition=models.Q(total_xp__gte=0), name="lms_badges_engagement_xp"),
        ]

    def __str__(self) -> str:
        return str(self.learner_id)
