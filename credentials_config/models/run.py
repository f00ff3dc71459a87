"""Runs: who was looked for, and what came of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from credentials_config.models.configuration import CredentialConfiguration


class RunCause(models.TextChoices):
    """What started a run."""

    SCHEDULE = "schedule", _("schedule")
    FINAL = "final", _("last run of a closed context")
    PERSON = "person", _("person")
    COMMAND = "command", _("command")


class CredentialRun(models.Model):
    """
    One search for eligible learners of a configuration.

    Open while ``active_key`` holds its constant, and at most one is open per configuration: runs do not overlap, on
    every database. ``lease_until`` lets a later run take over from a killed one. A run that a gate skipped is closed at
    once and says why in ``note``. The counts grow while it runs: what the admin and the command show as progress.

    .. no_pii:
    """

    configuration = models.ForeignKey(CredentialConfiguration, on_delete=models.CASCADE, related_name="runs")
    cause = models.CharField(_("started by"), max_length=10, choices=RunCause.choices)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    active_key = models.CharField(max_length=6, null=True, blank=True, default="active", editable=False)  # noqa: DJ001
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    eligible = models.PositiveIntegerField(_("eligible"), default=0)
    issued = models.PositiveIntegerField(_("issued"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("credential run")
        verbose_name_plural = _("credential runs")
        ordering = ("-started_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=["configuration", "active_key"], name="lms_cc_one_open_run"),
            models.CheckConstraint(
                condition=models.Q(active_key="active") | models.Q(active_key__isnull=True),
                name="lms_cc_run_active_key",
            ),
        )

    def __str__(self) -> str:
        return f"{self.configuration_id} {self.started_at:%Y-%m-%d %H:%M}"
