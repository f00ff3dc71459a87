"""
The kinds ``bulk_award`` and ``bulk_revoke`` of runs.

Each chunk of rows is a step: credentials, outbox messages, the outcome of each row and the progress of the run are one
transaction. So a run that is killed goes on with the next chunk, and nothing is done twice.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from badges import granting
from badges.awarding.models import UserCredential
from badges.bulk import people
from badges.bulk.decisions import decide_awards, decide_revocations, holdings_of_rows, key_of
from badges.bulk.models import BulkOutcome, BulkRow
from badges.bulk.uploads import BulkAction
from badges.catalog.causes import Cause, CauseKind
from badges.common.csv_text import as_text
from badges.common.permissions import permission
from badges.granting import NewAward, NewRevocation
from badges.inserts import insert
from badges.intake import learners
from badges.intake.models import Learner
from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import Run, RunMode

ROWS_PER_STEP = 500

TAKEN_BACK = "A bulk run was taken back."


class BulkRuns(RunKind):
    """What both kinds have in common. ``does`` is the outcome of a row that is carried out."""

    modes = (RunMode.PLAN, RunMode.APPLY, RunMode.UNDO)
    is_started_by_staff = False  # a run needs its rows: the page of user credentials starts it with a file
    action: ClassVar[BulkAction]
    does: ClassVar[BulkOutcome]

    def subject(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters["file"])

    def total(self, job: Job) -> int:
        return self._rows_of(job).count()

    def plan(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, self._plan)

    def apply(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, self._apply, prepare=self.prepare)

    def undo(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, self._undo)

    def result(self, job: Job) -> tuple[str, bytes]:
        """Return a CSV file with the outcome of each row."""
        mode = Run.objects.values_list("mode", flat=True).get(pk=job.run_id)
        ending = {RunMode.PLAN: "-plan", RunMode.UNDO: "-undo"}.get(RunMode(mode), "")
        column = "undo_outcome" if job.undoes else "outcome"
        rows = self._rows_of(job).select_related("learner__user", "account", "template")
        return f"{self.action.replace('_', '-')}{ending}.csv", _as_csv(rows.iterator(2000), column)

    def prepare_apply(self, plan_id: uuid.UUID, run_id: uuid.UUID) -> None:
        """Copy the rows of a plan. What became of them is decided anew."""
        last, rows = 0, BulkRow.objects.filter(run=plan_id).order_by("number")
        while chunk := list(rows.filter(number__gt=last)[:ROWS_PER_STEP]):
            last = chunk[-1].number
            for row in chunk:
                row.id, row.run_id, row.outcome, row.credential_id = None, run_id, BulkOutcome.WAITING, None
            insert(chunk)

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _rows_of(self, job: Job) -> QuerySet[BulkRow]:
        """Return the rows of a run, or those that the run has carried out which is taken back."""
        if job.undoes:
            return BulkRow.objects.filter(run=job.undoes, outcome=self.does).order_by("number")
        return BulkRow.objects.filter(run=job.run_id).order_by("number")

    def _steps(
        self,
        job: Job,
        work: Callable[[Job, QuerySet[BulkRow]], Mapping[str, int]],
        *,
        prepare: Callable[[QuerySet[BulkRow]], None] = lambda chunk: None,
    ) -> Iterator[Step]:
        rows, last = self._rows_of(job), job.cursor or 0
        while numbers := list(rows.filter(number__gt=last).values_list("number", flat=True)[:ROWS_PER_STEP]):
            chunk = rows.filter(number__range=(numbers[0], numbers[-1]))
            prepare(chunk)
            yield Step(cursor=numbers[-1], done=len(numbers), work=partial(work, job, chunk))
            last = numbers[-1]

    def prepare(self, chunk: QuerySet[BulkRow]) -> None:
        """Do what has to be done before these rows are carried out, in transactions of its own."""

    @abstractmethod
    def decide(self, rows: Sequence[BulkRow], now: dt.datetime) -> dict[int, BulkOutcome]:
        """Return what becomes of rows, by number."""

    @abstractmethod
    def carry_out(self, job: Job, rows: Sequence[BulkRow], now: dt.datetime) -> list[UserCredential]:
        """Award or revoke for these rows, and return the credentials."""

    @abstractmethod
    def take_back(self, job: Job, rows: Sequence[BulkRow], now: dt.datetime) -> dict[int, BulkOutcome]:
        """Take back what was done for these rows, and return what became of them, by number."""

    def _plan(self, job: Job, chunk: QuerySet[BulkRow]) -> dict[str, int]:
        rows = list(chunk)
        outcomes = self.decide(rows, job.clock())
        _write_outcomes(rows, outcomes)
        return _counts(outcomes, {self.does: f"would be {self.does}"})

    def _apply(self, job: Job, chunk: QuerySet[BulkRow]) -> dict[str, int]:
        rows, now = _locked(chunk), job.clock()
        outcomes = self.decide(rows, now)
        for row in rows:
            if row.learner_id is None and outcomes[row.number] == self.does:
                outcomes[row.number] = BulkOutcome.UNKNOWN  # the account can have no learner
        credentials = self.carry_out(job, [row for row in rows if outcomes[row.number] == self.does], now)
        by_key: dict[uuid.UUID | None, uuid.UUID] = {each.learner_template_id: each.pk for each in credentials}
        for row in rows:
            if outcomes[row.number] == self.does:
                row.credential_id = by_key[key_of(row)]
        _write_outcomes(rows, outcomes)
        return _counts(outcomes)

    def _undo(self, job: Job, chunk: QuerySet[BulkRow]) -> dict[str, int]:
        rows = _locked(chunk)
        outcomes = self.take_back(job, rows, job.clock())
        for row in rows:
            row.undo_outcome = outcomes[row.number]
        insert(rows, unique=("run", "number"), update="undo_outcome")
        return _counts(outcomes)

    def cause(self, job: Job, reason: str) -> Cause:
        """Return the cause of a decision of a run: who asked for it, and the run."""
        kind = CauseKind.PERSON if job.asked_by_id is not None else CauseKind.PROGRAM
        return Cause(kind, event_id=str(job.run_id), event_type=self.action, person_id=job.asked_by_id, reason=reason)


class BulkAward(BulkRuns):
    """Awards the badges of a file. Taken back, it revokes those that still stand, and blocks none."""

    label = gettext_lazy("bulk award")
    action = BulkAction.AWARD
    does = BulkOutcome.AWARDED
    apply_permission = permission("award", UserCredential)
    undo_permission = permission("revoke", UserCredential)

    def prepare(self, chunk: QuerySet[BulkRow]) -> None:
        """Make the learners of accounts that have none."""
        rows = list(chunk.filter(learner=None, account__isnull=False, duplicate_of=None))
        if not rows:
            return
        created = people.create_learners({row.account_id for row in rows})
        for row in rows:
            row.learner_id = created.get(row.account_id)
        insert([row for row in rows if row.learner_id], unique=("run", "number"), update="learner")

    def decide(self, rows: Sequence[BulkRow], now: dt.datetime) -> dict[int, BulkOutcome]:
        return decide_awards(
            rows,
            people=_people(rows),
            templates=granting.awardable({row.template_id for row in rows}),
            holdings=holdings_of_rows(rows, now=now),
            now=now,
        )

    def carry_out(self, job: Job, rows: Sequence[BulkRow], now: dt.datetime) -> list[UserCredential]:
        return _award(rows, lambda row: self.cause(job, row.reason), now)

    def take_back(self, job: Job, rows: Sequence[BulkRow], now: dt.datetime) -> dict[int, BulkOutcome]:
        revoked = _revoke(
            rows,
            lambda row: {
                "cause": self.cause(job, ""),
                "internal_reason": TAKEN_BACK,
                "credential_id": row.credential_id,
            },
            now,
        )
        gone = {credential.pk for credential in revoked}
        return {row.number: BulkOutcome.REVOKED if row.credential_id in gone else BulkOutcome.NOT_HELD for row in rows}


class BulkRevoke(BulkRuns):
    """Revokes the badges of a file. Taken back, it lifts its blocks and awards the badges again."""

    label = gettext_lazy("bulk revocation")
    action = BulkAction.REVOKE
    does = BulkOutcome.REVOKED
    apply_permission = permission("revoke", UserCredential)
    undo_permission = permission("award", UserCredential)

    def decide(self, rows: Sequence[BulkRow], now: dt.datetime) -> dict[int, BulkOutcome]:
        return decide_revocations(rows, holdings=holdings_of_rows(rows, now=now), now=now)

    def carry_out(self, job: Job, rows: Sequence[BulkRow], now: dt.datetime) -> list[UserCredential]:
        # Read anew: a retirement may have removed the reason since this worker began.
        parameters = Run.objects.only("parameters").get(pk=job.run_id).read_parameters()
        public_reason, block = parameters["public_reason"], parameters["block"]
        return _revoke(
            rows,
            lambda row: {
                "cause": self.cause(job, ""),
                "public_reason": public_reason,
                "internal_reason": row.reason,
                "block": block,
            },
            now,
        )

    def take_back(self, job: Job, rows: Sequence[BulkRow], now: dt.datetime) -> dict[int, BulkOutcome]:
        """
        Give the badges back, with the ends that they had. One that would be over by now is not given back.

        Templates need not be active any more: the holders had the badges.
        """
        taken = [row.credential_id for row in rows if row.credential_id]
        granting.lift_blocks_of(taken, person_id=job.asked_by_id, reason=TAKEN_BACK, now=now)
        ends: dict[uuid.UUID | None, dt.datetime | None] = dict(
            UserCredential.objects.filter(pk__in=taken).order_by().values_list("pk", "valid_until")
        )
        outcomes = decide_awards(
            rows,
            people=_people(rows),
            templates={row.template_id for row in rows},
            holdings=holdings_of_rows(rows, now=now),
            now=now,
        )
        for row in rows:
            end = ends.get(row.credential_id)
            if outcomes[row.number] == BulkOutcome.AWARDED and end is not None and end <= now:
                outcomes[row.number] = BulkOutcome.NOT_HELD
        again = [row for row in rows if outcomes[row.number] == BulkOutcome.AWARDED]
        _award(again, lambda row: self.cause(job, TAKEN_BACK), now, ends=ends)
        return outcomes


# --- what the steps do -----------------------------------------------------------------------------------------------


def _locked(chunk: QuerySet[BulkRow]) -> list[BulkRow]:
    """Return rows, after their learners were locked; at most four statements."""
    # The learners first: what the rows say may have changed while this transaction waited for a lock.
    ids = list(chunk.exclude(learner=None).order_by().values_list("learner_id", flat=True))
    learners.lock(ids)
    return list(chunk)


def _people(rows: Sequence[BulkRow]) -> set[int]:
    """Return the ids of the learners who are still somebody."""
    ids = {row.learner_id for row in rows if row.learner_id}
    known = Learner.objects.filter(pk__in=ids).exclude(lms_user_id=None, user=None)
    return set(known.order_by().values_list("pk", flat=True))


def _award(
    rows: Sequence[BulkRow],
    cause_of: Callable[[BulkRow], Cause],
    now: dt.datetime,
    *,
    ends: Mapping[uuid.UUID | None, dt.datetime | None] | None = None,
) -> list[UserCredential]:
    """Award the badges of rows. ``ends`` are those of the credentials of the rows, which are given back."""
    templates = granting.granted({row.template_id for row in rows})
    new = [
        NewAward(
            row.learner_id,
            templates[row.template_id],
            cause_of(row),
            given_back=ends is not None,
            valid_until=ends[row.credential_id] if ends is not None else None,
        )
        for row in rows
        if row.learner_id
    ]
    return granting.award(new, now=now)


def _revoke(
    rows: Sequence[BulkRow], details_of: Callable[[BulkRow], dict[str, Any]], now: dt.datetime
) -> list[UserCredential]:
    templates = granting.granted({row.template_id for row in rows})
    new = [
        NewRevocation(row.learner_id, row.template_id, templates[row.template_id].revision_id, **details_of(row))
        for row in rows
        if row.learner_id
    ]
    return granting.revoke(new, now=now)


def _write_outcomes(rows: Sequence[BulkRow], outcomes: Mapping[int, BulkOutcome]) -> None:
    """Write what became of rows, with their credentials; one statement."""
    for row in rows:
        row.outcome = outcomes[row.number]
    insert(rows, unique=("run", "number"), update=("outcome", "credential"))


def _counts(outcomes: Mapping[int, BulkOutcome], names: Mapping[BulkOutcome, str] | None = None) -> dict[str, int]:
    """Return how many rows have each outcome. ``names`` are other names of outcomes."""
    return Counter((names or {}).get(outcome, outcome.replace("_", " ")) for outcome in outcomes.values())


def _as_csv(rows: Iterable[BulkRow], column: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["row", "learner", "lms_user_id", "username", "template", "outcome", "duplicate_of", "credential"])
    for row in rows:
        learner = row.learner
        user = (learner.user if learner else None) or row.account
        writer.writerow(
            [
                row.number,
                learner.uuid if learner else "",
                (learner.lms_user_id if learner else None) or "",
                as_text(user.get_username()) if user else "",
                row.template.slug,
                getattr(row, column).replace("_", " ") or "not reached",
                row.duplicate_of or "",
                row.credential_id or "",
            ]
        )
    return text.getvalue().encode()
