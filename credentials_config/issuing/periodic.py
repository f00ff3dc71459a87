"""
The periodic task of each configuration, in the tables of django-celery-beat.

The task is made with the configuration, has its name, and is deleted with it. It is enabled exactly while the
configuration is enabled and not closed. Its schedule belongs to the administrator. When somebody disables the task
itself, the configuration is switched off too.
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


def sync_task(configuration: CredentialConfiguration) -> None:
    """Create the task of a configuration, or enable or disable it."""
    wanted = configuration.enabled and configuration.closed_at is None
    if configuration.periodic_task is None:  # also when somebody deleted it while this app was not installed
        _make(configuration, wanted)
        return
    changed = {"enabled": wanted, **({} if wanted else {"last_run_at": None})}
    # Not with save(), whose signal would be taken for an administrator who disables the task.
    if PeriodicTask.objects.filter(pk=configuration.periodic_task_id).exclude(enabled=wanted).update(**changed):
        PeriodicTasks.update_changed()


def reopen(configuration: CredentialConfiguration) -> None:
    """Open a closed context again. What an administrator switched off, perhaps a moment ago, stays off."""
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(closed_at=None)
    configuration.refresh_from_db(fields=["enabled", "closed_at"])
    sync_task(configuration)


def due(now: dt.datetime) -> list[CredentialConfiguration]:
    """Return the configurations whose schedule is due since their last run, as beat would find them."""
    related = ("credential_type", *(f"periodic_task__{kind}" for kind in ("interval", "crontab", "solar", "clocked")))
    running = CredentialConfiguration.objects.filter(
        Q(periodic_task__start_time=None) | Q(periodic_task__start_time__lte=now),
        Q(periodic_task__expires=None) | Q(periodic_task__expires__gt=now),
        enabled=True,
        closed_at=None,
        periodic_task__enabled=True,
    )
    asked = running.annotate(asked_at=Max("runs__run__asked_at")).select_related(*related).order_by("pk")
    return [row for row in asked if _is_due(row, row.asked_at)]


def _is_due(configuration: CredentialConfiguration, asked_at: dt.datetime | None) -> bool:
    task = configuration.periodic_task
    if task is None or (task.one_off and asked_at is not None):
        return False
    return bool(task.schedule.is_due(asked_at or configuration.created_at)[0])


def name_of(configuration: CredentialConfiguration) -> str:
    """Return the name of a configuration's task. It is cut where it is too long, and unique by the id in it."""
    return f"Credentials {configuration.pk}: {configuration.credential_type.name} in {configuration.context_key}"[
        :NAME_LENGTH
    ]


def connect() -> None:
    """Connect the signals that keep tasks and configurations alike."""
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
    """Return the interval of the settings. A host may have several equal rows; any of them will do."""
    values = {"every": int(config.schedule["every"]), "period": str(config.schedule["period"])}
    return IntervalSchedule.objects.filter(**values).order_by("pk").first() or IntervalSchedule.objects.create(**values)


def _configuration_saved(*, instance: CredentialConfiguration, raw: bool, **_more: Any) -> None:
    if not raw:
        sync_task(instance)


def _configuration_deleted(*, instance: CredentialConfiguration, **_more: Any) -> None:
    if instance.periodic_task_id is not None:
        PeriodicTask.objects.filter(pk=instance.periodic_task_id).delete()
        PeriodicTasks.update_changed()


def _task_saved(*, instance: PeriodicTask, created: bool, raw: bool, **_more: Any) -> None:
    """Switch the configuration off when its task was disabled: in the task's admin, or by beat when it expired."""
    if raw or created or instance.enabled or instance.task != SCHEDULED_TASK:
        return
    running = CredentialConfiguration.objects.filter(periodic_task=instance.pk, enabled=True, closed_at=None)
    running.update(enabled=False)
