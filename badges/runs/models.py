"""The table of runs."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid6 import uuid7

from badges.fields import KeyField, UnconstrainedForeignKey
from badges.outbox.worker_notifications import CARRY_OUT_RUNS

ACTIVE = "active"
NOTE_LENGTH = 500


class RunMode(models.TextChoices):
    """What a run does with what it finds."""

    PLAN = "plan", _("plan")  # changes nothing, and tells what applying would change
    APPLY = "apply", _("apply")
    UNDO = "undo", _("undo")  # takes back what another run has applied


class RunState(models.TextChoices):
    """How far a run is."""

    OPEN = "open", _("open")  # it waits for a worker, or one carries it out, which is who has the claim
    DONE = "done", _("done")
    SKIPPED = "skipped", _("skipped")  # the time for it has not come, or is over; ``note`` says why
    CANCELLED = "cancelled", _("cancelled")  # by a person; it may be resumed
    FAILED = "failed", _("failed")  # ``note`` says what to do; it may be resumed


class Run(models.Model):
    """
    A piece of long work that a person or a schedule asked for.

    ``kind`` is the name of a plug-in (``badges.runs.kinds``), ``parameters`` what it needs. Written when somebody
    starts it. ``task`` is the Celery task whose workers carry it out. A worker claims it (``common.claims``) and
    carries it out in steps. Each step is one transaction: its work, the progress (``done`` of ``total``, ``counts``),
    the ``cursor`` where the next step begins, and the lease. When a worker is killed, another one claims the run after
    the lease and goes on at the cursor. ``attempts`` counts the claims since the last step that was committed.

    Closed runs are deleted with their results after ``runs.keep_days``, or after the days that their kind says.

    A run is open while ``active_key`` has its constant. A unique constraint allows one open run for each kind and
    subject. The kind says what its subject is, such as a template.

    .. pii: Parameters and results may name people, as their kind says. ``runs.personal_data`` removes a person.
    .. pii_types: id, username, name, email_address, other
    .. pii_retirement: local_api
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = KeyField(_("kind"), max_length=50)
    subject = KeyField(_("subject"), max_length=255, blank=True)
    task = KeyField(_("task"), max_length=100, default=CARRY_OUT_RUNS, editable=False)
    mode = models.CharField(_("mode"), max_length=5, choices=RunMode.choices)
    parameters = models.TextField(_("parameters"), default="{}")
    asked_by = UnconstrainedForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("asked by"),
    )
    asked_at = models.DateTimeField(_("asked"))
    undoes = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="undone_by", verbose_name=_("undoes")
    )
    state = models.CharField(_("state"), max_length=9, choices=RunState.choices, default=RunState.OPEN)
    active_key = models.CharField(max_length=6, null=True, blank=True, default=ACTIVE, editable=False)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    cancel_requested = models.BooleanField(_("to be cancelled"), default=False)
    cursor = models.TextField(default="null", editable=False)
    done = models.PositiveIntegerField(_("done so far"), default=0)
    total = models.PositiveIntegerField(_("of"), null=True, blank=True)
    counts = models.TextField(_("counts"), default="{}")
    result = models.FileField(_("result"), upload_to="lms_badges/runs", max_length=255, blank=True)
    note = models.CharField(_("note"), max_length=NOTE_LENGTH, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_badges_run", "Can view runs"),
            ("add_lms_badges_run", "Can start runs"),
            ("change_lms_badges_run", "Can cancel, resume and undo runs"),
        ]
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject", "active_key"], name="lms_badges_one_open_run"),
            models.CheckConstraint(
                condition=models.Q(state="open", active_key="active", due_at__isnull=False)
                | (~models.Q(state="open") & models.Q(active_key__isnull=True, due_at__isnull=True)),
                name="lms_badges_run_active_key",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="lms_badges_run_due"),
            models.Index(fields=["finished_at"], name="lms_badges_run_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.asked_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        """Whether it waits for a worker or is carried out."""
        return self.active_key == ACTIVE

    def read_parameters(self) -> dict[str, Any]:
        """Return the parameters as they were given."""
        found: dict[str, Any] = json.loads(self.parameters)
        return found

    def read_counts(self) -> dict[str, int]:
        """Return what the steps have counted."""
        found: dict[str, int] = json.loads(self.counts)
        return found
