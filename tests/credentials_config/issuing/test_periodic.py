"""Periodic tasks: each configuration has one, which is enabled and deleted with it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from credentials_config import tasks
from credentials_config.issuing import periodic
from credentials_config.models import CredentialConfiguration, CredentialRun, RunCause
from tests.credentials_config.factories import (
    CredentialConfigurationFactory,
    CredentialRunFactory,
    CredentialTypeFactory,
)

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


def test_a_configuration_has_a_task_of_its_own_that_asks_for_its_run() -> None:
    configuration = CredentialConfigurationFactory()
    task = PeriodicTask.objects.get(pk=configuration.periodic_task_id)
    assert task.enabled
    assert (task.interval.every, task.interval.period) == (1, "days")
    assert task.task in tasks.scheduled.app.tasks
    tasks.scheduled(*json.loads(task.args))
    run = CredentialRun.objects.get()
    assert (run.configuration, run.cause) == (configuration, RunCause.SCHEDULE)


@pytest.mark.parametrize(
    ("enabled", "closed", "on"), [(True, False, True), (False, False, False), (True, True, False), (False, True, False)]
)
def test_the_task_is_on_exactly_while_the_configuration_is_enabled_and_not_closed(
    enabled: bool, closed: bool, on: bool
) -> None:
    configuration = CredentialConfigurationFactory(enabled=not enabled)
    configuration.enabled = enabled
    configuration.closed_at = timezone.now() if closed else None
    configuration.save()
    assert PeriodicTask.objects.get().enabled is on


def test_an_administrators_schedule_stays() -> None:
    configuration = CredentialConfigurationFactory()
    task = PeriodicTask.objects.get()
    task.interval = IntervalSchedule.objects.create(every=6, period="hours")
    task.save()
    configuration.enabled = False
    configuration.save()
    task.refresh_from_db()
    assert (task.interval.every, task.interval.period, task.enabled) == (6, "hours", False)


def test_switching_the_task_off_switches_the_configuration_off_so_that_it_stays_off() -> None:
    configuration = CredentialConfigurationFactory()
    task = PeriodicTask.objects.get()
    task.enabled = False
    task.save()
    configuration.refresh_from_db()
    assert not configuration.enabled
    configuration.save()
    task.refresh_from_db()
    assert not task.enabled


def test_a_very_long_type_and_key_make_a_name_that_fits_and_is_unique() -> None:
    names = set()
    for number in range(2):
        CredentialConfigurationFactory(
            credential_type=CredentialTypeFactory(name=f"{'T' * 250}{number}"),
            context_key=f"course-v1:Demo+{'k' * 220}+2026",
        )
    names = {task.name for task in PeriodicTask.objects.all()}
    assert len(names) == 2
    assert max(map(len, names)) <= 200


def test_interval_rows_that_say_the_same_do_no_harm() -> None:
    for _ in range(2):
        IntervalSchedule.objects.create(every=1, period="days")
    CredentialConfigurationFactory()
    assert PeriodicTask.objects.count() == 1


@pytest.mark.parametrize("in_bulk", [True, False])
def test_the_task_goes_with_its_configuration(in_bulk: bool) -> None:
    configuration = CredentialConfigurationFactory()
    if in_bulk:
        CredentialConfiguration.objects.all().delete()
    else:
        configuration.delete()
    assert not PeriodicTask.objects.exists()


def test_a_task_that_somebody_deleted_comes_back_when_the_configuration_is_saved() -> None:
    configuration = CredentialConfigurationFactory()
    PeriodicTask.objects.all().delete()
    configuration.refresh_from_db()
    configuration.save()
    assert PeriodicTask.objects.get().enabled


def test_the_default_schedule_is_a_setting(settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "schedule": {"every": 4, "period": "hours"}}
    CredentialConfigurationFactory()
    task = PeriodicTask.objects.get()
    assert (task.interval.every, task.interval.period) == (4, "hours")


def test_a_schedule_that_fires_for_a_configuration_that_is_gone_does_nothing() -> None:
    tasks.scheduled(424242)
    assert not CredentialRun.objects.exists()


# Without beat


def an_hour_ago(configuration: CredentialConfiguration, *, hours: float = 1) -> None:
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(
        created_at=timezone.now() - dt.timedelta(hours=hours)
    )


def test_a_schedule_is_due_once_its_interval_is_over() -> None:
    configuration = CredentialConfigurationFactory()
    an_hour_ago(configuration, hours=23)
    assert periodic.due(timezone.now()) == []
    an_hour_ago(configuration, hours=25)
    assert periodic.due(timezone.now()) == [configuration]
    CredentialRunFactory(configuration=configuration, run__asked_at=timezone.now())
    assert periodic.due(timezone.now()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"start_time": dt.datetime(2999, 1, 1, tzinfo=dt.UTC)},
        {"expires": dt.datetime(2001, 1, 1, tzinfo=dt.UTC)},
        {"enabled": False},
    ],
)
def test_a_schedule_that_has_not_begun_or_is_over_or_off_is_not_due(changes: dict[str, Any]) -> None:
    configuration = CredentialConfigurationFactory()
    an_hour_ago(configuration, hours=100)
    assert periodic.due(timezone.now()) == [configuration]
    PeriodicTask.objects.update(**changes)
    assert periodic.due(timezone.now()) == []
