"""Checks that have become due: documents that time alone may have made true are asked again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from badges.catalog import snapshot
from badges.granting.awards import award
from badges.intake import checks
from badges.intake.models import InboxMessage, Learner
from badges.pipeline.criteria import Question, ask_now
from badges.pipeline.learner_progress import load_progress


def handle(rows: Sequence[InboxMessage], *, now: dt.datetime) -> int:
    """
    Ask the documents of the rows, award what is complete and write the next checks; return how many were awarded.

    The handler of the kind ``criteria`` of inbox rows. A template that is not active any more, or has no document, is
    left out. The number of statements does not depend on the number of rows.
    """
    due = [checks.of_row(row) for row in rows]
    catalog = snapshot.current()
    templates = catalog.with_criteria
    due = [check for check in due if check.template_id in templates]
    if not due:
        return 0
    ids = {check.learner_id for check in due}
    learners = {row.pk: row for row in Learner.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
    moments = {check.id: check.moment for check in due}
    progress = load_progress(
        (learners[check.learner_id], templates[check.template_id]) for check in due if check.learner_id in learners
    )
    questions = [
        Question(found, moments[key])
        for key, found in progress.items()
        if found.template.criteria_id not in found.state.fulfilled
    ]
    if not questions:
        return 0
    return len(award(ask_now(questions, catalog.definitions, now=now, up_to=now - checks.ARRIVAL), now=now))
