"""Runs: searches for eligible learners, and their results."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.fields import UnconstrainedForeignKey
from credentials_config.models.configuration import CredentialConfiguration


class RunCause(models.TextChoices):
    """What started a run."""

    SCHEDULE = "schedule", _("schedule")
    FINAL = "final", _("last run of a closed context")
    PERSON = "person", _("person")
    COMMAND = "command", _("command")


class RunOutcome(models.TextChoices):
    """How a run ended."""

    DONE = "done", _("done")
    SKIPPED = "skipped", _("skipped")  # by its dates, or switched off; ``note`` says why
    FAILED = "failed", _("failed")  # ``note`` says what to do


class CredentialRun(models.Model):
    """
    One search for the eligible learners of a configuration.

    Written when a schedule, a person or a command requests it. A worker claims the row (``lease_until`` is when the
    lease ends, ``claim`` identifies the worker), carries it out, and closes it with an ``outcome``. When the worker is
    killed, another one claims the run after the lease and begins anew; it does not find again who was found before. A
    run that the dates forbid is closed at once, with the reason in ``note``. Closed runs are deleted after
    ``issuing.keep_runs_days``; their credentials stay.

    A run is open while ``active_key`` has its constant. A unique constraint allows one open run per configuration, so
    that runs never overlap.

    The counts are the progress that the admin and the commands show. ``checked`` and ``eligible`` grow while the run is
    carried out. ``issued`` and ``failed`` count what became of its credentials, until the last document is made.

    .. no_pii:
    """

    configuration = models.ForeignKey(CredentialConfiguration, on_delete=models.CASCADE, related_name="runs")
    cause = models.CharField(_("started by"), max_length=10, choices=RunCause.choices)
    person = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    ignore_dates = models.BooleanField(_("in spite of the date checks"), default=False)
    active_key = models.CharField(max_length=6, null=True, blank=True, default="active", editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=7, choices=RunOutcome.choices, blank=True)
    checked = models.PositiveIntegerField(_("looked at"), default=0)
    eligible = models.PositiveIntegerField(_("eligible"), default=0)
    issued = models.PositiveIntegerField(_("issued"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_credentials_config_credentialrun", "Can view credential runs"),
        ]
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
        indexes = (models.Index(fields=["lease_until"], name="lms_cc_run_due"),)

    def __str__(self) -> str:
        return f"{self.configuration_id} {self.started_at:%Y-%m-%d %H:%M}"
