"""What the plugin has left in its host's database and storages, and how it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module, util
from typing import Any

from celery import current_app
from django.apps import AppConfig, apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import Storage
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder

from badges.exceptions import BadgesError

# In the order in which their tables can go: those of the second app refer to those of the first.
LABELS = ("lms_credentials_config", "lms_badges")


class UninstallError(BadgesError):
    """A storage did not remove a file, so nothing else was removed."""


@dataclass(frozen=True)
class Remnant:
    """So many of something that the plugin has left."""

    count: int
    what: str


def plan() -> list[Remnant]:
    """Return what there is to remove, counted; nothing is changed. What is not there is not named."""
    tables = set(connection.introspection.table_names())
    found = [
        Remnant(model._base_manager.count(), f"rows in the table {model._meta.db_table}")
        for model in _models()
        if model._meta.db_table in tables
    ]
    counted = [
        (sum(1 for _ in stored_files()), "stored files"),
        (_periodic_tasks().count() if _has_beat() else 0, "periodic tasks"),
        (_log_entries().count() if _has_admin() else 0, "entries of the admin's log"),
        (Permission.objects.filter(content_type__app_label__in=LABELS).count(), "permissions, with who has them"),
        (ContentType.objects.filter(app_label__in=LABELS).count(), "content types"),
        (_migrations().count(), "records of migrations"),
    ]
    return found + [Remnant(count, what) for count, what in counted if count]


def apply(*, on_file: Callable[[], object] = lambda: None) -> None:
    """
    Remove what ``plan`` names. May be run again where it was interrupted.

    Calls ``on_file`` after each file. Raises UninstallError when a storage does not remove a file. All tables are there
    then, because they hold the names of the files.
    """
    _remove_files(on_file)
    if _has_beat():
        with transaction.atomic():
            _remove_periodic_tasks()
    for label in LABELS:
        if apps.is_installed(_package(label)):
            call_command("migrate", label, "zero", verbosity=0, interactive=False, skip_checks=True)
    # Not before: whenever it ends, ``migrate`` makes the permissions of the apps that still have tables.
    with transaction.atomic():
        if _has_admin():
            _log_entries().delete()
        Permission.objects.filter(content_type__app_label__in=LABELS).delete()
        ContentType.objects.filter(app_label__in=LABELS).delete()
        _migrations().delete()
    ContentType.objects.clear_cache()


def has_foreign_tasks() -> bool:
    """Whether django-celery-beat has a task that is neither ours nor its own: then somebody else uses it too."""
    return _has_beat() and _periodic_task().objects.exclude(task="celery.backend_cleanup").exists()


def has_beat_tables() -> bool:
    """Whether django-celery-beat, which the plugin adds where it is missing, has its tables here."""
    return _has_beat()


def stored_files() -> Iterator[tuple[Storage, str]]:
    """
    Yield storage and name of every file of ours: those of file fields, and what an app's ``stored_files`` tells.

    Files whose tables are gone are gone.
    """
    tables = set(connection.introspection.table_names())
    for app in _apps():
        if not {model._meta.db_table for model in app.get_models()} <= tables:
            continue
        for model in app.get_models():
            for field in model._meta.local_concrete_fields:
                if isinstance(field, models.FileField):
                    names = model._base_manager.exclude(**{field.name: ""}).values_list(field.name, flat=True)
                    yield from ((field.storage, name) for name in names.iterator(chunk_size=1000) if name)
        if tell := getattr(app, "stored_files", None):
            yield from tell()


def _remove_files(on_file: Callable[[], object]) -> None:
    for storage, name in stored_files():
        try:
            storage.delete(name)
        except Exception as error:  # storages fail in their own ways
            raise UninstallError(
                f"The storage does not remove the file {name} ({type(error).__name__}). No table was removed. Correct "
                "the storage and its settings, then run this again."
            ) from error
        on_file()


def _remove_periodic_tasks() -> None:
    """Remove the tasks, and the schedules that no other task has."""
    beat = import_module("django_celery_beat.models")
    schedules: set[tuple[str, int]] = set()
    for task in _periodic_tasks():
        for kind in ("interval", "crontab", "solar", "clocked"):
            if number := getattr(task, f"{kind}_id"):
                schedules.add((kind, number))
    _periodic_tasks().delete()
    for kind, number in schedules:
        model = beat.PeriodicTask._meta.get_field(kind).remote_field.model
        if not beat.PeriodicTask.objects.filter(**{f"{kind}_id": number}).exists():
            model.objects.filter(pk=number).delete()
    beat.PeriodicTasks.update_changed()


def _periodic_tasks() -> Any:
    return _periodic_task().objects.filter(task__in=_task_names())


def _periodic_task() -> Any:
    return apps.get_model("django_celery_beat", "PeriodicTask")


def _task_names() -> list[str]:
    """Return the names of our Celery tasks."""
    for app in _apps():
        if util.find_spec(f"{app.name}.tasks"):
            import_module(f"{app.name}.tasks")
    packages = tuple(f"{app.name}." for app in _apps())
    return [name for name, task in current_app.tasks.items() if task.__module__.startswith(packages)]


def _has_beat() -> bool:
    if not apps.is_installed("django_celery_beat"):
        return False
    return str(_periodic_task()._meta.db_table) in connection.introspection.table_names()


def _has_admin() -> bool:
    return apps.is_installed("django.contrib.admin")


def _log_entries() -> Any:
    return apps.get_model("admin", "LogEntry").objects.filter(content_type__app_label__in=LABELS)


def _migrations() -> Any:
    recorder = MigrationRecorder(connection)
    return recorder.migration_qs.filter(app__in=LABELS)


def _apps() -> Iterable[AppConfig]:
    installed = {app.label: app for app in apps.get_app_configs()}
    return [installed[label] for label in LABELS if label in installed]


def _package(label: str) -> str:
    return next((app.name for app in _apps() if app.label == label), "")


def _models() -> Iterator[type[models.Model]]:
    for app in _apps():
        yield from app.get_models(include_auto_created=True)
