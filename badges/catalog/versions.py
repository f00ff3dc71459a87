"""
The catalog's version: how every process learns that it must compile anew, and how editors take turns.

Any number that was not there before will do, and it has to be one that never comes back: a counter would say 7 again
after a rollback, when some process had already compiled what was rolled back.
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

from badges.catalog.models import BadgeRequirement, BadgeTemplate, CatalogVersion, DataRule, TemplateIssuer
from badges.inserts import insert

_WATCHED_MODELS = (BadgeTemplate, TemplateIssuer, BadgeRequirement, DataRule)
_bump_is_suspended: ContextVar[bool] = ContextVar("badges_catalog_bump_is_suspended", default=False)


def bump_version() -> None:
    """Tell every process to compile the catalog anew, once the current transaction is committed."""
    _write_number(time.time_ns())


@contextmanager
def editing_transaction() -> Iterator[None]:
    """
    A transaction that no other editor shares, in which saving rows does not bump the version by itself.

    The lock is a write, and the first statement: ``select_for_update`` would be nothing on SQLite, and on MariaDB it
    would not keep later reads from an older view of the tables.
    """
    with transaction.atomic():
        _write_number(F("number"))
        token = _bump_is_suspended.set(True)
        try:
            yield
        finally:
            _bump_is_suspended.reset(token)


def _write_number(number: Any) -> None:
    # Made first, not when it is missed: an update that finds nothing keeps a gap locked on MariaDB, and two of them
    # wait for each other.
    insert([CatalogVersion(id=1)], unique="id")
    CatalogVersion.objects.filter(id=1).update(number=number)


def _bump_after_change(**_: Any) -> None:
    """Rows that were saved or deleted one by one count too, by whoever and also by ``loaddata``."""
    if not _bump_is_suspended.get():
        bump_version()


for _model in _WATCHED_MODELS:
    post_save.connect(_bump_after_change, sender=_model, dispatch_uid=f"badges.catalog.saved.{_model.__name__}")
    post_delete.connect(_bump_after_change, sender=_model, dispatch_uid=f"badges.catalog.deleted.{_model.__name__}")
