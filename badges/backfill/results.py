"""The result of a backfill as CSV: who has got which badge, or would get it, by which events."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterable, Mapping

from django.contrib.auth import get_user_model
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


def write_rows(run_id: uuid.UUID, gains: Iterable[Gain]) -> None:
    """Write the rows of a step; one statement, or none."""
    insert(_row_of(run_id, gain) for gain in gains)


def rows_of(run_id: uuid.UUID) -> QuerySet[BackfilledBadge]:
    """Return the rows of a run, in the order of the file."""
    return BackfilledBadge.objects.filter(run=run_id).order_by("template__slug", "person")


def as_csv(rows: QuerySet[BackfilledBadge]) -> bytes:
    """Return rows as CSV with a row of headings. Usernames are there where the account is known."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    username = f"learner__user__{get_user_model().USERNAME_FIELD}"
    columns = (
        *("learner__uuid", "person", username, "template__slug", "credential_id"),
        *("event_type", "event_source", "event_id", "event_time", "events"),
    )
    for learner, person, name, slug, credential, *event, time, events in rows.values_list(*columns).iterator():
        texts = map(as_text, event)
        moment = time.isoformat() if time else ""
        lms_user_id = person if person > 0 else ""
        who = (learner or "", lms_user_id, as_text(name or ""))
        writer.writerow([*who, slug, credential or "", *texts, moment, as_text(events)])
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
