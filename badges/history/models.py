"""The event log."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.fields import KeyField


class LoggedEvent(models.Model):
    """
    One event of a configured type about a person, whether or not any rule held for it.

    Written by the pipeline in the transaction that decides the event, and never changed. Deleted after
    ``event_log.days``, and when the person is retired. Rules over a person's history, backfill and explanations read
    it. It is not the inbox: that holds what still has to be decided, and what arrived with its personal data.

    ``person`` is the LMS user id. For a learner who has none it is minus the primary key of the learner, so that one
    column says who it is. ``digest`` is ``badges.rules.event_digest`` of the source and the id. An event is logged once
    for a person. ``data`` is the text of the event's data without the fields that are declared personal.

    .. pii: The LMS user id, and what the person did.
    .. pii_types: id
    .. pii_retirement: local_api
    """

    person = models.BigIntegerField(_("person"))
    digest = models.UUIDField(editable=False)
    event_type = KeyField(_("event type"), max_length=255)
    event_source = KeyField(_("event source"), max_length=255)
    event_id = KeyField(_("event id"), max_length=255)
    occurred_at = models.DateTimeField(_("event time"))
    received_at = models.DateTimeField(_("received"))
    data = models.TextField(_("data"))

    class Meta:
        default_permissions = ()
        permissions = [("view_lms_badges_loggedevent", "Can view logged events")]
        verbose_name = _("logged event")
        verbose_name_plural = _("event log")
        ordering = ["-occurred_at", "-digest"]
        constraints = [models.UniqueConstraint(fields=["person", "digest"], name="lms_badges_log_once")]
        indexes = [
            models.Index(fields=["person", "event_type", "occurred_at"], name="lms_badges_log_person"),
            models.Index(fields=["event_type", "received_at"], name="lms_badges_log_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} of {self.event_source}"

    def loaded(self) -> Any:
        """Return the data of the event: the arguments of its signal, without personal fields."""
        return json.loads(self.data)
