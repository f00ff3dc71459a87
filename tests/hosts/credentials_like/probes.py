# ruff: noqa: PLC0415 -- Django has to be set up before models can be imported
"""
The host's process: tests ask it by lines of JSON, ``[probe, arguments, keyword arguments]``.

Each probe takes values that JSON knows and returns such values. Commands run here too: starting Python and Django for
each of them would take longer than all the rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import django

PROBES: dict[str, Callable[..., Any]] = {}


def probe(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let tests ask for a function by its name."""
    PROBES[function.__name__] = function
    return function


@probe
def tables() -> list[str]:
    """Return the names of all tables."""
    from django.db import connection

    return connection.introspection.table_names()


@probe
def rows(sql: str, *values: Any) -> list[list[Any]]:
    """Return what a statement finds, as text."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [[str(value) for value in row] for row in cursor.fetchall()] if cursor.description else []


@probe
def permissions() -> list[list[str]]:
    """Return app label and codename of every permission."""
    from django.contrib.auth.models import Permission

    return [list(row) for row in Permission.objects.values_list("content_type__app_label", "codename")]


@probe
def pages(*, username: str = "", permissions: tuple[str, ...] = (), apps: tuple[str, ...]) -> dict[str, int]:
    """Open the list and the "add" page of every registered model; return the status of each."""
    from django.contrib import admin
    from django.test import Client
    from django.urls import reverse

    client = Client(raise_request_exception=True)
    client.force_login(_staff(username, permissions))
    found = {}
    for model in admin.site._registry:
        if model._meta.app_label in apps:
            for page in ("changelist", "add"):
                address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")
                found[address] = client.get(address).status_code
    return found


@probe
def answers(*questions: tuple[str, str], permissions: tuple[str, ...] = ()) -> list[list[Any]]:
    """Ask addresses as somebody with permissions; return status, content type and body of each answer."""
    from django.test import Client

    client = Client(raise_request_exception=True)
    client.force_login(_staff("asks", permissions))
    found = []
    for method, address in questions:
        answer = client.generic(method, address)
        found.append([answer.status_code, answer.headers.get("Content-Type", ""), answer.content.decode()])
    return found


@probe
def fill(username: str) -> str:
    """Let somebody have something in every table that people, periodic tasks or files stand in; return a file."""
    from django.contrib.auth import get_user_model

    from badges import api
    from badges.catalog.api import save_template
    from badges.intake.models import Learner
    from credentials_config import api as credentials
    from credentials_config.models import Credential, CredentialAsset, CredentialConfiguration
    from tests.factories import NOON, template_entry

    user = get_user_model().objects.create(username=username, lms_user_id=1017)
    save_template(template_entry(slug="houba"), author=user, now=NOON)
    learner = Learner.objects.create(user=user, lms_user_id=1017)
    asset = CredentialAsset.objects.upload("paper", b"<svg/>", name="paper.svg")
    configuration = CredentialConfiguration.objects.create(
        context_key="course-v1:Demo+Algebra+2026", credential_type=_credential_type(), enabled=True
    )
    run = credentials.generate(configuration, person=user)
    document = asset.file.storage.save("credentials/aa/one.pdf", asset.file)
    Credential.objects.create(
        learner=learner,
        configuration=configuration,
        run=run,
        verification_code="HOUBA-1",
        status="available",
        issued_at=NOON,
        document=document,
        document_number=1,
    )
    waiting = asset.file.storage.save("credentials/bb/two.pdf", asset.file)
    with transaction_of_the_host():
        api.enqueue("credential-file", key="1", payload={"credential": str(learner.uuid), "file": waiting})
    return document


@probe
def look_back() -> dict[str, Any]:
    """Read what ``fill`` wrote, after the account may have been deleted without the plugin."""
    from badges.catalog.models import TemplateRevision
    from badges.intake.models import Learner
    from credentials_config.models import CredentialConfiguration, CredentialRun

    learner, run = Learner.objects.get(), CredentialRun.objects.get()
    author = TemplateRevision.objects.get().author
    task = CredentialConfiguration.objects.get().periodic_task
    return {
        "shown": str(learner),
        "people": [str(each) if each else None for each in (learner.user, run.person, author)],
        "ids": [learner.user_id, run.run.asked_by_id],
        "task": task.name if task else None,
    }


@probe
def left(labels: list[str]) -> dict[str, Any]:
    """Return everything in the database and the storage that has a name of the plugin's, by kind."""
    names = ", ".join(f"'{label}'" for label in labels)
    where = f"FROM django_content_type WHERE app_label IN ({names})"
    there = tables()
    found: dict[str, Any] = {
        "tables": [table for table in there if table.startswith(tuple(labels))],
        "content types": rows(f"SELECT model {where}"),
        "permissions": rows(f"SELECT codename FROM auth_permission WHERE content_type_id IN (SELECT id {where})"),
        "migrations": rows(f"SELECT name FROM django_migrations WHERE app IN ({names})"),
        "log": rows("SELECT object_repr FROM django_admin_log"),
        "files": files(),
    }
    if "django_celery_beat_periodictask" in there:
        found["tasks"] = rows("SELECT name FROM django_celery_beat_periodictask")
        found["schedules"] = rows("SELECT every, period FROM django_celery_beat_intervalschedule")
    return {kind: some for kind, some in found.items() if some}


@probe
def log_an_entry(username: str) -> None:
    """Let the admin's log have an entry about a row of ours."""
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.auth import get_user_model

    from badges.intake.models import Learner

    user = get_user_model().objects.get(username=username)
    LogEntry.objects.log_actions(user.pk, Learner.objects.all(), CHANGE, "seen", single_object=True)


@probe
def add_foreign_task(name: str) -> None:
    """Let somebody else have a periodic task, with the schedule of one of ours."""
    from django_celery_beat.models import PeriodicTask

    PeriodicTask.objects.create(name=name, task="theirs.work", interval=PeriodicTask.objects.get().interval)


@probe
def save_configuration() -> None:
    """Save a credential configuration, as its admin page does."""
    from credentials_config.models import CredentialConfiguration

    CredentialConfiguration.objects.get().save()


@probe
def files() -> list[str]:
    """Return the files in the media folder."""
    from pathlib import Path

    from django.conf import settings

    root = Path(settings.MEDIA_ROOT)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@probe
def delete_account(username: str) -> int:
    """Delete an account, as the host does."""
    from django.contrib.auth import get_user_model

    deleted, _ = get_user_model().objects.get(username=username).delete()
    return deleted


def transaction_of_the_host() -> Any:
    """Begin a transaction."""
    from django.db import transaction

    return transaction.atomic()


def _credential_type() -> Any:
    from credentials_config.models import CredentialType

    return CredentialType.objects.create(name="Diploma", processor="csv_list", generator="pdf")


def _staff(username: str, permissions: tuple[str, ...]) -> Any:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission

    User: Any = get_user_model()
    is_superuser = not permissions
    user, _ = User.objects.get_or_create(
        username=username or "root", defaults={"is_staff": True, "is_superuser": is_superuser}
    )
    for permission in permissions:  # as the host's API tests do: by codename alone
        user.user_permissions.add(Permission.objects.get(codename=permission.rpartition(".")[2]))
    return user


@probe
def commands(labels: list[str]) -> list[list[str]]:
    """Return the names of commands: of the apps with these labels, and of everybody else."""
    from django import __path__ as django_path
    from django.apps import apps
    from django.core.management import find_commands

    ours, theirs = [], find_commands(f"{django_path[0]}/core/management")
    for app in apps.get_app_configs():
        (ours if app.label in labels else theirs).extend(find_commands(f"{app.path}/management"))
    return [ours, theirs]


@probe
def named_files(kind: str, labels: list[str]) -> list[list[str]]:
    """Return the names of templates or static files: of the apps with these labels, and of everybody else."""
    from pathlib import Path

    from django.apps import apps
    from django.conf import settings

    folders = settings.TEMPLATES[0]["DIRS"] if kind == "templates" else settings.STATICFILES_DIRS
    ours: list[str] = []
    theirs = [name for folder in folders for name in _files_below(Path(folder))]
    for app in apps.get_app_configs():
        (ours if app.label in labels else theirs).extend(_files_below(Path(app.path, kind)))
    return [ours, theirs]


def _files_below(folder: Any) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


@probe
def addresses(labels: list[str]) -> list[list[str]]:
    """Return the namespaces at the root, and addresses of ours that lead to somebody else's view."""
    from django.urls import get_resolver, resolve

    namespaces = [str(entry.namespace) for entry in get_resolver().url_patterns if getattr(entry, "namespace", None)]
    assert len(namespaces) == len(set(namespaces)), namespaces
    hidden = []
    for label in labels:
        _prefix, resolver = get_resolver().namespace_dict[label]
        for route, pattern in _routes(resolver):
            address = "/" + route.replace("<str:code>", "HOUBA").replace("<str:id>", "1").replace("<str:token>", "t")
            address = address.replace("<path:context_key>", "course-v1:Demo+Algebra+2026")
            if "<" not in address and resolve(address).func != pattern.callback:
                hidden.append(address)
    return [namespaces, hidden]


def _routes(resolver: Any, before: str = "") -> Any:
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from _routes(entry, route)
        else:
            yield route, entry


@probe
def database_names(labels: list[str]) -> list[list[str]]:
    """Return names of tables, constraints and indexes: of the apps with these labels, and of everybody else."""
    from django.apps import apps

    ours: list[str] = []
    theirs: list[str] = []
    for model in apps.get_models(include_auto_created=True):
        options = model._meta
        named = [*options.constraints, *options.indexes]
        (ours if options.app_label in labels else theirs).extend([options.db_table, *(each.name for each in named)])
    return [ours, theirs]


@probe
def own_settings() -> dict[str, Any]:
    """Return the settings that the host itself writes, as far as JSON knows their values."""
    import ast
    from pathlib import Path

    from django.conf import settings

    tree = ast.parse(Path(__file__).with_name("settings.py").read_text())
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    names = [target.id for target in targets if isinstance(target, ast.Name) and target.id != "HAS_PLUGIN"]
    return json.loads(json.dumps({name: getattr(settings, name) for name in names if name.isupper()}, default=str))


@probe
def foreign_loggers() -> list[str]:
    """Return loggers of our modules that do not have the name of their module."""
    import logging
    import sys

    return [
        f"{name}: {value.name}"
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ("badges", "credentials_config")
        for value in vars(module).values()
        if isinstance(value, logging.Logger) and value.name.partition(".")[0] not in ("badges", "credentials_config")
    ]


@probe
def tasks() -> list[list[str]]:
    """Return the names of our Celery tasks, and of the beat entries that were added."""
    from celery import current_app
    from django.conf import settings

    import badges.tasks
    import credentials_config.tasks

    ours = (badges.tasks.__name__, credentials_config.tasks.__name__)
    named = [name for name, task in current_app.tasks.items() if task.__module__ in ours]
    return [named, list(settings.CELERY_BEAT_SCHEDULE)]


@probe
def cache_keys(*addresses: str) -> list[str]:
    """Open pages and return what they left in the cache."""
    from django.core.cache import cache

    cache.clear()
    answers(*(("GET", address) for address in addresses))
    return [key.split(":", 2)[2] for key in cache._cache]


@probe
def command(*arguments: str) -> dict[str, Any]:
    """Run a command as ``manage.py`` does; return its exit code and what it prints."""
    import contextlib
    import io
    import traceback

    from django.core.management import execute_from_command_line

    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except Exception:
            traceback.print_exc()
            code = 1
    return {"code": code, "printed": printed.getvalue()}


def main() -> None:
    """Answer the questions on standard input, one a line, each with one line."""
    import traceback

    answers, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    from django.db import connections

    for line in sys.stdin:
        name, args, kwargs = json.loads(line)
        try:
            answer = {"answer": PROBES[name](*args, **kwargs)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        connections.close_all()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
