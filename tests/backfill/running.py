"""Runs of backfills for tests: asked for, carried out, and their results."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

from django.utils import timezone

from badges.backfill.run_kinds import KIND
from badges.models import BadgeTemplate, Run, RunMode, RunState
from badges.runs import queue, worker

LATER = dt.timedelta(hours=1)


def start(*templates: BadgeTemplate, mode: RunMode = RunMode.APPLY, by: Any = None, **parameters: Any) -> Run:
    """Ask for a run."""
    given = {"templates": [template.slug for template in templates], **parameters}
    return queue.start(KIND, mode=mode, parameters=given, person=by)


def carry_out(run: Run, *, now: dt.datetime | None = None) -> Run:
    """Carry a run out, at a moment or an hour from now, and return it as it is then."""
    worker.work(now=lambda: now or timezone.now() + LATER)
    run.refresh_from_db()
    return run


def done(*templates: BadgeTemplate, now: dt.datetime | None = None, **given: Any) -> Run:
    """Ask for a run and carry it out to its end."""
    run = carry_out(start(*templates, **given), now=now)
    assert run.state == RunState.DONE, run.note
    return run


def planned(*templates: BadgeTemplate, **given: Any) -> Run:
    """Plan to its end."""
    return done(*templates, mode=RunMode.PLAN, **given)


def result_of(run: Run) -> list[dict[str, str]]:
    """Return the rows of a result."""
    with run.result.open() as file:
        return list(csv.DictReader(io.StringIO(file.read().decode())))
