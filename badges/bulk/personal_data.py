"""Remove what bulk runs and their rows say about a person who left."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Q

from badges.bulk.models import BulkRow
from badges.runs.models import Run

# The parameters of a run that people wrote for all of its rows.
_REASONS = ("reason", "public_reason")


def clear_reasons(learner_id: int | None, account_id: Any) -> int:
    """
    Remove the reasons of a person's rows, and those of the runs that have such a row; return how many rows changed.

    The reasons of a run are blank then for all of its rows that were not reached yet. The rows stay.
    """
    about = Q(pk__in=[])
    if learner_id is not None:
        about |= Q(learner=learner_id)
    if account_id is not None:
        about |= Q(account=account_id)
    rows = BulkRow.objects.filter(about)
    return rows.exclude(reason="").update(reason="") + _clear_runs(rows.order_by().values("run"))


def _clear_runs(ids: Any) -> int:
    """Remove the reasons from runs, and from those that take them back."""
    changed = 0
    for run in Run.objects.filter(Q(pk__in=ids) | Q(undoes__in=ids)).order_by("pk").only("parameters"):
        given = run.read_parameters()
        cleared = {name: "" if name in _REASONS else value for name, value in given.items()}
        if cleared != given:
            changed += Run.objects.filter(pk=run.pk).update(parameters=json.dumps(cleared, sort_keys=True))
    return changed
