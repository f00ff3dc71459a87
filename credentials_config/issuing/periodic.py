"""
Each configuration's periodic task of django-celery-beat, kept in step.

It is made with the configuration, named after it, on exactly while the configuration is enabled and not closed, and
goes with it. Its schedule is the administrator's. Switching the task itself off says the same as switching the
configuration off, so it stays off.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.signals import post_delete, post_save
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from credentials_config.conf import config
from credentials_config.models import CredentialConfiguration

SCHEDULED_TASK = "credentials_config.scheduled"
NAME_LENGTH = 200


def keep_in_step(configuration: CredentialConfiguration) -> None:
    """Make a configuration's task, or switch it on or off."""
    wanted = configuration.enabled and configuration.closed_at is None
    if configuration.periodic_task is None:  # also when somebody deleted it while this app was not installed
        _make(configuration, wanted)
        return
    changed = {"enabled": wanted, **({} if wanted else {"last_run_at": None})}
    # Not through save(): that would be taken for an administrator's word.
    if PeriodicTask.objects.filter(pk=configuration.periodic_task_id).exclude(enabled=wanted).update(**changed):
        PeriodicTasks.update_changed()


def open_again(configuration: CredentialConfiguration) -> None:
    """Its context is not over after all. What an administrator switched off, while the LMS was asked say, stays off."""
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(closed_at=None)
    configuration.refresh_from_db(fields=["enabled", "closed_at"])
    keep_in_step(configuration)


def due(now: dt.datetime) -> list[CredentialConfiguration]:
    """Return the configurations whose schedule has come round since their last run: what beat would fire."""
    related = ("credential_type", *(f"periodic_task__{kind}" for kind in ("interval", "crontab", "solar", "clocked")))
    running = CredentialConfiguration.objects.filter(
        Q(periodic_task__start_time=None) | Q(periodic_task__start_time__lte=now),
        Q(periodic_task__expires=None) | Q(periodic_task__expires__gt=now),
        enabled=True,
        closed_at=None,
        periodic_task__enabled=True,
    )
    asked = running.annotate(asked_at=Max("runs__started_at")).select_related(*related).order_by("pk")
    return [row for row in asked if _has_come_round(row, row.asked_at)]


def _has_come_round(configuration: CredentialConfiguration, asked_at: dt.datetime | None) -> bool:
    task = configuration.periodic_task
    if task is None or (task.one_off and asked_at is not None):
        return False
    return bool(task.schedule.is_due(asked_at or configuration.created_at)[0])


def name_of(configuration: CredentialConfiguration) -> str:
    """Return the name of a configuration's task: unique, and never too long, by the number it begins with."""
    return f"Credentials {configuration.pk}: {configuration.credential_type.name} in {configuration.context_key}"[
        :NAME_LENGTH
    ]


def connect() -> None:
    """Follow what is saved and deleted, by whomever."""
    post_save.connect(_configuration_saved, CredentialConfiguration, dispatch_uid="lms_cc_configuration_saved")
    post_delete.connect(_configuration_deleted, CredentialConfiguration, dispatch_uid="lms_cc_configuration_deleted")
    post_save.connect(_task_saved, PeriodicTask, dispatch_uid="lms_cc_task_saved")


def _make(configuration: CredentialConfiguration, wanted: bool) -> None:
    with transaction.atomic():
        task, _ = PeriodicTask.objects.get_or_create(
            name=name_of(configuration),
            defaults={
                "task": SCHEDULED_TASK,
                "args": json.dumps([configuration.pk]),
                "interval": _default_interval(),
                "enabled": wanted,
            },
        )
        CredentialConfiguration.objects.filter(pk=configuration.pk).update(periodic_task=task)
    configuration.periodic_task = task


def _default_interval() -> IntervalSchedule:
    """Return the default interval; a host may have several rows that say the same, and any of them will do."""
    words = {"every": int(config.schedule["every"]), "period": str(config.schedule["period"])}
    return IntervalSchedule.objects.filter(**words).order_by("pk").first() or IntervalSchedule.objects.create(**words)


def _configuration_saved(*, instance: CredentialConfiguration, raw: bool, **_more: Any) -> None:
    if not raw:
        keep_in_step(instance)


def _configuration_deleted(*, instance: CredentialConfiguration, **_more: Any) -> None:
    if instance.periodic_task_id is not None:
        PeriodicTask.objects.filter(pk=instance.periodic_task_id).delete()
        PeriodicTasks.update_changed()


def _task_saved(*, instance: PeriodicTask, created: bool, raw: bool, **_more: Any) -> None:
    """The task was switched off in its own admin, or by beat when it expired: that is what somebody wants."""
    if raw or created or instance.enabled or instance.task != SCHEDULED_TASK:
        return
    running = CredentialConfiguration.objects.filter(periodic_task=instance.pk, enabled=True, closed_at=None)
    running.update(enabled=False)
