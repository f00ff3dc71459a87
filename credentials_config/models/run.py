"""What a run of badges.runs does not hold: for which configuration it searches, and what became of its credentials."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials_config.models.configuration import CredentialConfiguration


class RunCause(models.TextChoices):
    """What started a run."""

    SCHEDULE = "schedule", gettext_lazy("schedule")
    FINAL = "final", gettext_lazy("last run of a closed context")
    PERSON = "person", gettext_lazy("person")
    COMMAND = "command", gettext_lazy("command")


class CredentialRun(models.Model):
    """
    One search for the eligible learners of a configuration: a run of the kind ``credentials``, and what only it has.

    Written together with its ``Run`` (``lms_badges.Run``), whose id it shares, when a schedule, a person or a command
    asks for it. The ``Run`` holds its state, its worker, who asked, how many learners were looked at (``done``), how
    many of them were eligible (``counts``), and why it was skipped or failed (``note``). It is deleted with its ``Run``
    or with its configuration; its credentials stay.

    ``cause`` and ``ignore_dates`` change while the run is open: when a person asks while a run of the schedule waits,
    that run becomes theirs. ``issued`` and ``failed`` count what became of its credentials. They change after the run
    is closed, until the last document is made, so they cannot be counts of the ``Run``, which end with it.

    .. no_pii:
    """

    run = models.OneToOneField("lms_badges.Run", on_delete=models.CASCADE, primary_key=True, related_name="+")
    configuration = models.ForeignKey(CredentialConfiguration, on_delete=models.CASCADE, related_name="runs")
    cause = models.CharField(gettext_lazy("started by"), max_length=10, choices=RunCause.choices)
    ignore_dates = models.BooleanField(gettext_lazy("in spite of the date checks"), default=False)
    issued = models.PositiveIntegerField(gettext_lazy("issued"), default=0)
    failed = models.PositiveIntegerField(gettext_lazy("failed"), default=0)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_credentials_config_credentialrun", "Can view credential runs"),
        ]
        verbose_name = gettext_lazy("credential run")
        verbose_name_plural = gettext_lazy("credential runs")
        ordering = ("-run_id",)  # the ids begin with the time

    def __str__(self) -> str:
        return f"{self.configuration_id} {self.run.asked_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        """Whether it waits for a worker or is carried out."""
        return self.run.is_open

    @property
    def outcome(self) -> str:
        """How it ended: a value of ``badges.api.RunState``; blank while it is open."""
        return "" if self.run.is_open else self.run.state

    @property
    def note(self) -> str:
        """Why it was skipped or failed, or why it is tried again, with the remedy."""
        if self.run.is_open and self.run.note:
            return _("To be tried again. %(reason)s") % {"reason": self.run.note}
        return self.run.note

    @property
    def checked(self) -> int:
        """How many learners were looked at."""
        return self.run.done

    @property
    def eligible(self) -> int:
        """How many of them were eligible and had no credential yet."""
        return self.run.read_counts().get("eligible", 0)

    @property
    def person(self) -> Any:
        """The account of who asked for it, or None."""
        return self.run.asked_by

    @property
    def asked_at(self) -> dt.datetime:
        """When it was asked for."""
        return self.run.asked_at

    @property
    def finished_at(self) -> dt.datetime | None:
        """When it ended, or None."""
        return self.run.finished_at
