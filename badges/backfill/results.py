"""The result of a backfill as CSV: who has got which badge, or would get it, by which events."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterable, Mapping

from django.db.models import QuerySet

from badges.backfill.decisions import Gain
from badges.backfill.models import BackfilledBadge
from badges.catalog.causes import Cause
from badges.common.csv_text import as_text
from badges.inserts import insert, new_row

HEADINGS = (
    *("learner", "lms_user_id", "username", "template", "credential"),
    *("event_type", "event_source", "event_id", "event_time", "events"),
)
ROWS = 2000


def write_rows(run_id: uuid.UUID, gains: Iterable[Gain]) -> None:
    """Write the rows of a step; one statement, or none."""
    insert(_row_of(run_id, gain) for gain in gains)


def rows_of(run_id: uuid.UUID) -> QuerySet[BackfilledBadge]:
    """Return the rows of a run with what the file shows of them."""
    rows = BackfilledBadge.objects.filter(run=run_id).order_by("template__slug", "person")
    return rows.select_related("learner__user", "template")


def as_csv(rows: QuerySet[BackfilledBadge]) -> bytes:
    """Return rows as CSV with a row of headings. Usernames are there where the account is known."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for row in rows.iterator(ROWS):
        learner = row.learner
        user = learner.user if learner else None
        writer.writerow(
            [
                learner.uuid if learner else "",
                row.person if row.person > 0 else "",
                as_text(user.get_username()) if user else "",
                row.template.slug,
                row.credential_id or "",
                as_text(row.event_type),
                as_text(row.event_source),
                as_text(row.event_id),
                row.event_time.isoformat() if row.event_time else "",
                as_text(row.events),
            ]
        )
    return text.getvalue().encode()


def _row_of(run_id: uuid.UUID, gain: Gain) -> BackfilledBadge:
    cause = gain.cause
    return new_row(
        BackfilledBadge,
        run_id=run_id,
        person=gain.person,
        learner_id=gain.learner_id,
        template_id=gain.template.id,
        credential_id=gain.credential_id,
        event_source=cause.event_source,
        event_id=cause.event_id,
        event_type=cause.event_type,
        event_time=cause.event_time,
        events=_in_words(gain.events),
    )


def _in_words(events: Mapping[str, Cause]) -> str:
    """Return the events of the requirements: ``pass: 0190e3c0-… of 2026-03-14T12:00:00+00:00; …``."""
    return "; ".join(
        f"{key}: {cause.event_id or cause.kind.label} of {cause.event_time.isoformat() if cause.event_time else '?'}"
        for key, cause in sorted(events.items())
    )
