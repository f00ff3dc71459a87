"""
What tests ask the host from inside its own process: ``python -m tests.hosts.credentials_like.probes NAME [JSON]``.

Each probe takes values that JSON knows and returns such values, which are the last line of the output.
"""

from __future__ import annotations

import inspect
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
def delete_account(username: str) -> int:
    """Delete an account, as the host does."""
    from django.contrib.auth import get_user_model

    deleted, _ = get_user_model().objects.get(username=username).delete()
    return deleted


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


def main() -> None:
    """Answer one question."""
    django.setup()
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    done = PROBES[name](*arguments["args"], **arguments["kwargs"])
    print(json.dumps(list(done) if inspect.isgenerator(done) else done))


if __name__ == "__main__":
    main()
