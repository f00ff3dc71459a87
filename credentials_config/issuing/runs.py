"""
Runs: asked for by a schedule, a person or a command; carried out by whoever comes first, one at a time.

A run is a row before anything is done, so nothing that was asked for is forgotten. Its holder renews the lease with
every chunk and commits what it found with that; when it is killed, another takes the run over and begins anew, with
those subtracted who were found before.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from badges import api as badges
from badges.database import retry_transient
from badges.exceptions import Permanent, Retryable
from credentials_config.conf import config
from credentials_config.contracts import Context, GenerationError
from credentials_config.issuing import documents, periodic, renderers, rows
from credentials_config.issuing.errors import INTERRUPTIONS, NOTE_LENGTH, LeaseLost, complain, let_go, logged, next_try
from credentials_config.issuing.search import Finding, Search
from credentials_config.models import (
    ACTIVE,
    Credential,
    CredentialConfiguration,
    CredentialRun,
    CredentialStatus,
    RunCause,
    RunOutcome,
)
from credentials_config.schedules import (
    Closed,
    Decision,
    FinalRun,
    Run,
    ScheduleRules,
    Skip,
    decide,
    over_from_the_start,
)

log = logging.getLogger(__name__)

# Celery tasks that carry out runs, and make documents.
RUN_TASK = "credentials_config.run"
MAKE_TASK = "credentials_config.make"

PATIENCE = 60.0

Progress = Callable[[CredentialRun], None]


# --- asking ------------------------------------------------------------------------------------------------------


def request(
    configuration: CredentialConfiguration,
    *,
    cause: RunCause,
    person: Any = None,
    override_gates: bool = False,
    now: dt.datetime | None = None,
) -> CredentialRun:
    """
    Ask for a run, and wake a worker. When one is open already that one is returned: runs do not overlap. One that the
    schedule asked for is then the person's too, who may ask although the configuration is switched off.

    ``override_gates``: in spite of start, availability and closure, once.
    """
    now = now or timezone.now()
    with transaction.atomic():
        run = _open_run(configuration)
        if run is None:
            try:
                with transaction.atomic():
                    run = CredentialRun.objects.create(
                        configuration=configuration,
                        cause=cause,
                        person=person,
                        override_gates=override_gates,
                        started_at=now,
                        lease_until=now,
                    )
            except IntegrityError:  # somebody else asked at the same moment
                run = _open_run(configuration)
                if run is None:
                    raise
        more: dict[str, Any] = {"override_gates": True} if override_gates and not run.override_gates else {}
        if cause != RunCause.SCHEDULE and run.cause == RunCause.SCHEDULE:
            more |= {"cause": cause, "person": person}
        if more:
            CredentialRun.objects.filter(pk=run.pk).update(**more)
            run.refresh_from_db(fields=["override_gates", "cause", "person"])
        badges.notify_worker_on_commit(RUN_TASK)
    return run


def _open_run(configuration: CredentialConfiguration) -> CredentialRun | None:
    return CredentialRun.objects.filter(configuration=configuration, active_key=ACTIVE).first()


def anything_due(*, now: dt.datetime | None = None) -> bool:
    """Say whether a run waits for somebody to carry it out."""
    return CredentialRun.objects.filter(active_key=ACTIVE, lease_until__lte=now or timezone.now()).exists()


# --- carrying out ------------------------------------------------------------------------------------------------


def claim(*, now: dt.datetime | None = None, run: CredentialRun | None = None) -> CredentialRun | None:
    """Take up the run that waits longest (or this one); committed when this returns. None: there is nothing to do."""
    now = now or timezone.now()
    due = CredentialRun.objects.filter(active_key=ACTIVE, lease_until__lte=now).order_by("lease_until")
    if run is not None:
        due = due.filter(pk=run.pk)
    for pk, holder in list(due.values_list("pk", "claim")[:20]):
        mine = uuid.uuid4()
        until = now + dt.timedelta(seconds=config.issuing["run_lease_seconds"])
        free = Q(claim=holder) if holder else Q(claim__isnull=True)
        open_ = CredentialRun.objects.filter(free, pk=pk, active_key=ACTIVE, lease_until__lte=now)
        if open_.update(claim=mine, lease_until=until, attempts=F("attempts") + 1):
            related = CredentialRun.objects.select_related("configuration__credential_type")
            return related.filter(pk=pk, claim=mine).first()
    return None


def carry_out(
    run: CredentialRun,
    *,
    now: dt.datetime | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Progress = lambda run: None,
) -> CredentialRun:
    """
    Carry out a claimed run; returns it as it then is. Never raises for what a configuration or the LMS does.

    ``should_stop`` is asked between chunks; the run is then given back for another worker. ``now`` holds the clock
    still.
    """
    try:
        _carry_out(run, now, should_stop, on_progress)
    except INTERRUPTIONS:
        _hand_back(run, _at(now))
        raise
    except LeaseLost:
        log.warning("Run %s: the lease ended before it was finished; whoever has it now carries it out.", run.pk)
    except (Permanent, GenerationError) as error:
        _fail(run, _at(now), logged(error, f"run {run.pk} was carried out"))
    except Exception as error:  # one of the two worker loops: what LMS, plug-ins and database do becomes a note
        _put_off(run, _at(now), error)
    with suppress(CredentialRun.DoesNotExist):  # its configuration was deleted meanwhile, and it with that
        run.refresh_from_db()
    return run


def _carry_out(
    run: CredentialRun, now: dt.datetime | None, should_stop: Callable[[], bool], on_progress: Progress
) -> None:
    configuration = run.configuration
    if run.attempts > config.issuing["max_attempts"]:
        raise Permanent(
            "Its worker was killed, or had to stop, before the search was finished, again and again. Look at its log; "
            "the next run tries again."
        )
    if _is_switched_off(run):
        _close(run, _at(now), RunOutcome.SKIPPED, "The configuration is switched off.")
        return
    search = Search(configuration)
    documents.public_url()
    context = search.context()
    decision = decide(gates_of(configuration), context, _at(now))
    _note_reopening(configuration, decision)
    shut = decision.reason if isinstance(decision, (Skip, Closed)) and not run.override_gates else ""
    # Somebody may have asked for it in spite of the gates since we began.
    if shut and _close(run, _at(now), RunOutcome.SKIPPED, shut, unless_overridden=True):
        return
    if words := over_from_the_start(
        _at(now), valid_days=configuration.valid_days, valid_until=configuration.valid_until
    ):
        raise Permanent(words)
    with renderers.renderer_for(configuration):
        pass  # a broken template is told here, once, and not learner by learner
    let_go(configuration)
    _begin_counting(run)
    refused = 0
    for looked_at, findings in search.chunks():
        refused += _write_down(run, context, looked_at, findings, now)
        run.refresh_from_db(fields=["asked", "eligible", "issued", "failed"])
        on_progress(run)
        if should_stop():
            _give_back(run, _at(now))
            return
        if _is_switched_off(run):
            _close(run, _at(now), RunOutcome.SKIPPED, "The configuration was switched off while the run was going.")
            return
    final = isinstance(decision, FinalRun)
    again = configuration.enabled and not final and configuration.closed_at is None
    _close(run, _at(now), RunOutcome.DONE, _note_of(refused, again=again), final=final)


def _is_switched_off(run: CredentialRun) -> bool:
    """Whether this run is only the schedule's, and the configuration is switched off, as both are now."""
    only_scheduled = CredentialRun.objects.filter(pk=run.pk, cause=RunCause.SCHEDULE)
    return only_scheduled.filter(configuration__enabled=False).exists()


def gates_of(configuration: CredentialConfiguration) -> ScheduleRules:
    """Return what a configuration says about dates."""
    return ScheduleRules(
        availability=configuration.availability,
        days_after_end=configuration.days_after_end,
        available_on=configuration.available_on,
        ignore_start=configuration.ignore_start,
        grace_hours=configuration.grace_hours,
        closed=configuration.closed_at is not None,
    )


def _write_down(
    run: CredentialRun, context: Context, looked_at: int, findings: list[Finding], now: dt.datetime | None
) -> int:
    """Commit a chunk: the rows of the eligible, the counts, and the lease for the next one. Returns who got none."""
    people = [found.person for found in findings if found.eligibility.eligible]
    languages = rows.languages_of(people)

    def work() -> int:
        at = _at(now)
        with transaction.atomic():
            # First the run's row: two transactions that both hold it shared could not both change it.
            until = at + dt.timedelta(seconds=config.issuing["run_lease_seconds"])
            counted = {"asked": F("asked") + looked_at, "eligible": F("eligible") + len(people)}
            if not _ours(run).update(lease_until=until, **counted):
                raise LeaseLost
            refused = len(rows.write(run.configuration, people, context, languages, now=at, run=run))
            if refused:
                _ours(run).update(failed=F("failed") + refused)
            if len(people) > refused:
                badges.notify_worker_on_commit(MAKE_TASK)
        return refused

    return retry_transient(work, patience=PATIENCE)


def _begin_counting(run: CredentialRun) -> None:
    """Count from where an earlier holder's rows are: what it found is subtracted, and so is not found again."""
    if run.asked:
        found = Credential.objects.filter(run=run)
        failed = found.filter(status=CredentialStatus.ERROR).count()
        _ours(run).update(asked=0, eligible=found.count(), failed=failed)


def _note_of(refused: int, *, again: bool) -> str:
    """Say who got none, and how they get one. ``again``: the schedule will fire again."""
    if not refused:
        return ""
    remedy = (
        "the next run finds them."
        if again
        else "then generate in spite of the dates, since the schedule does not fire any more."
    )
    return (
        f"{refused} eligible learners got none: their username belongs to another LMS user here, or the host takes no "
        f"account like theirs. Correct these accounts, or their LMS user ids; {remedy}"
    )


def _note_reopening(configuration: CredentialConfiguration, decision: Decision) -> None:
    """A moved end date opens a closed context again; what was switched off stays off."""
    if isinstance(decision, (Run, Skip)) and decision.reopens:
        periodic.open_again(configuration)


# --- how it ends -------------------------------------------------------------------------------------------------


def _ours(run: CredentialRun) -> Any:
    return CredentialRun.objects.filter(pk=run.pk, claim=run.claim, active_key=ACTIVE)


def _close(
    run: CredentialRun,
    now: dt.datetime,
    outcome: RunOutcome,
    note: str = "",
    *,
    final: bool = False,
    unless_overridden: bool = False,
) -> bool:
    """End a run; False when it stays open since somebody overrode the gates. The last run closes its context."""

    def work() -> bool:
        with transaction.atomic():
            ours = _ours(run).filter(override_gates=False) if unless_overridden else _ours(run)
            values: dict[str, Any] = {"active_key": None, "lease_until": None, "claim": None, "finished_at": now}
            if final and run.cause == RunCause.SCHEDULE:
                values["cause"] = RunCause.FINAL
            if not ours.update(outcome=outcome, note=note[:NOTE_LENGTH], **values):
                if unless_overridden and _ours(run).exists():
                    return False
                raise LeaseLost
            if final:
                CredentialConfiguration.objects.filter(pk=run.configuration_id).update(closed_at=now)
        if final:
            run.configuration.closed_at = now
            periodic.keep_in_step(run.configuration)
        return True

    return retry_transient(work, patience=PATIENCE)


def _fail(run: CredentialRun, now: dt.datetime, note: str) -> None:
    """Nobody can be given anything until a person does what the note says; it stands on the configuration too."""
    try:
        _close(run, now, RunOutcome.FAILED, note)
    except LeaseLost:
        return
    complain(run.configuration, note)


def _put_off(run: CredentialRun, now: dt.datetime, error: Exception) -> None:
    """It may work later: the run stays open. After too many tries it ends, and the next schedule begins a new one."""
    words = logged(error, f"run {run.pk} was carried out")
    if run.attempts >= config.issuing["max_attempts"]:
        _fail(run, now, f"Given up after {run.attempts} tries; the next run tries again. {words}")
        return
    asked = error.retry_after if isinstance(error, Retryable) else None
    due_at = next_try(now, run.attempts, retry_after=asked)
    retry_transient(
        lambda: _ours(run).update(claim=None, lease_until=due_at, note=f"To be tried again. {words}"[:NOTE_LENGTH]),
        patience=PATIENCE,
    )


def _give_back(run: CredentialRun, now: dt.datetime) -> None:
    """We were asked to stop, and stop between chunks: no try is lost."""
    retry_transient(
        lambda: _ours(run).update(claim=None, lease_until=now, attempts=F("attempts") - 1),
        patience=PATIENCE,
    )


def _hand_back(run: CredentialRun, now: dt.datetime) -> None:
    """We had to stop in the middle. It has not failed, but keeps its try: it may outlast every worker."""
    retry_transient(lambda: _ours(run).update(claim=None, lease_until=now), patience=PATIENCE)


def _at(now: dt.datetime | None) -> dt.datetime:
    return now or timezone.now()
