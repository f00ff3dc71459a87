"""
The catalog's version number, which tells every process when to compile the catalog anew, and the lock of editors.

A number must never be used twice, so it is a time in nanoseconds. A counter could have the same value again after a
rollback, when some process has already compiled the changes that were rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_delete, post_save

from badges.catalog.models import BadgeRequirement, BadgeTemplate, CatalogVersion, EventType, TemplateRevision
from badges.inserts import insert

# What a process reads when it compiles the catalog. Issuers and data rules are in the documents of revisions.
_WATCHED_MODELS = (BadgeTemplate, TemplateRevision, BadgeRequirement)
_bump_is_suspended: ContextVar[bool] = ContextVar("badges_catalog_bump_is_suspended", default=False)


def bump_version() -> None:
    """Tell every process to compile the catalog anew, once the current transaction is committed."""
    _write_numbers(number=time.time_ns())


def bump_event_types() -> None:
    """Tell every process to read the event types of this site anew, too, once the current transaction is committed."""
    number = time.time_ns()
    _write_numbers(number=number, event_types=number)


@contextmanager
def editing_transaction() -> Iterator[None]:
    """
    Open a transaction that excludes other editors. Saving rows inside it does not bump the version by itself.

    The first statement is a write, which takes the lock. ``select_for_update`` does nothing on SQLite. On MariaDB it
    would not prevent later reads from an older snapshot of the tables.
    """
    with transaction.atomic():
        _write_numbers(number=F("number"))
        token = _bump_is_suspended.set(True)
        try:
            yield
        finally:
            _bump_is_suspended.reset(token)


def _write_numbers(**numbers: Any) -> None:
    # The row is inserted first. On MariaDB an update that finds no row locks a gap, and two of these block each other.
    insert([CatalogVersion(id=1)], unique="id")
    CatalogVersion.objects.filter(id=1).update(**numbers)


def _bump_after_change(**_: Any) -> None:
    """Bump the version also for rows that any code saves or deletes one by one, such as ``loaddata``."""
    if not _bump_is_suspended.get():
        bump_version()


def _bump_after_event_type(**_: Any) -> None:
    """Bump the version for every event type that is saved or deleted, whoever does it."""
    bump_event_types()


for _model in _WATCHED_MODELS:
    post_save.connect(_bump_after_change, sender=_model, dispatch_uid=f"badges.catalog.saved.{_model.__name__}")
    post_delete.connect(_bump_after_change, sender=_model, dispatch_uid=f"badges.catalog.deleted.{_model.__name__}")
post_save.connect(_bump_after_event_type, sender=EventType, dispatch_uid="badges.catalog.saved.EventType")
post_delete.connect(_bump_after_event_type, sender=EventType, dispatch_uid="badges.catalog.deleted.EventType")
