"""
The registry of retirement hooks: who removes the data of a person who left.

A hook belongs to a Django app and removes a person from the tables and files of that app. The app registers it in
``AppConfig.ready``. ``badges.api.retire`` calls all hooks in one transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RetiringPerson:
    """
    Who is retired: the ids that rows may have of a person. An id that is not known is None.

    ``learner_id`` is the primary key of the learner, ``user_id`` that of the host's account.
    """

    learner_id: int | None
    lms_user_id: int | None
    user_id: Any


class RetirementHook(Protocol):
    """
    Removes a person from the tables and files of one app.

    It returns how much it changed, by a short plain name such as ``payloads``. It runs in the transaction of the
    retirement and is safe to repeat. It must do nothing outside of the database: files are removed by an outbox message
    (``badges.api.enqueue``), because the transaction may be tried again, or be undone when only a plan is wanted.
    """

    def __call__(self, person: RetiringPerson, *, now: dt.datetime) -> Mapping[str, int]: ...


_hooks: dict[str, RetirementHook] = {}


def register_retirement_hook(name: str, hook: RetirementHook) -> None:
    """Add a hook. ``name`` is the label of its app; a second hook of the same name replaces the first."""
    _hooks[name] = hook


def retirement_hooks() -> Mapping[str, RetirementHook]:
    """Return the hooks by name, in the order in which they were registered."""
    return dict(_hooks)


def clear_account_references(models: Any, user_id: Any, user_model: type) -> int:
    """
    Set every nullable foreign key to an account to NULL; return the number of changed rows.

    ``models``: the models of one app. Rows that name the account as their author, or as who started them, stay.
    """
    changed = 0
    for model in models:
        for field in model._meta.concrete_fields:
            if field.is_relation and field.null and field.related_model is user_model:
                changed += model._base_manager.filter(**{field.name: user_id}).update(**{field.name: None})
    return changed
