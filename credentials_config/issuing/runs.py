"""
Carrying out a run: look at the dates, find the eligible learners chunk by chunk, write a row for each of them.

Each chunk is one transaction: the new rows, the counts of the run, and the lease for the next chunk. When a worker is
killed, another one carries the run out from its beginning. People who were found before have a credential by then, so
they are not found again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from contextlib import suppress

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from badges.common.claims import ClaimLostError
from badges.database import retry_transient
from badges.exceptions import Permanent, Retryable
from credentials_config.conf import config
from credentials_config.contracts import Context, GenerationError
from credentials_config.issuing import document_queue, documents, new_credentials, periodic, renderers, run_queue
from credentials_config.issuing.errors import (
    DATABASE_GIVE_UP_SECONDS,
    INTERRUPTIONS,
    clear_problem,
    log_unforeseen,
    next_attempt_at,
    report_problem,
)
from credentials_config.issuing.search import PersonEligibility, Search
from credentials_config.models import (
    Credential,
    CredentialConfiguration,
    CredentialRun,
    CredentialStatus,
    RunCause,
    RunOutcome,
)
from credentials_config.schedules import Closed, Decision, FinalRun, Run, Skip, decide, expiry_error

log = logging.getLogger(__name__)

Progress = Callable[[CredentialRun], None]


def carry_out(
    run: CredentialRun,
    *,
    now: dt.datetime | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Progress = lambda run: None,
) -> CredentialRun:
    """
    Carry out a claimed run, and return it as it is afterwards.

    Errors of the configuration, the LMS and the plug-ins are written on the run and never raised. ``should_stop`` is
    asked after each chunk; when it returns True the run is released for another worker. ``on_progress`` is called after
    each chunk. ``now`` is the time to act at, for tests and imports.
    """
    try:
        _carry_out(run, now, should_stop, on_progress)
    except INTERRUPTIONS:
        run_queue.release_interrupted(run, _at(now))
        raise
    except ClaimLostError:
        log.warning(
            "Run %s: the lease ended before it was finished; the worker that has it now carries it out.", run.pk
        )
    except (Permanent, GenerationError) as error:
        _fail(run, _at(now), log_unforeseen(error, f"run {run.pk} was carried out"))
    except Exception as error:  # a worker loop: LMS, plug-ins and database fail in ways that nobody can list
        _try_again_later(run, _at(now), error)
    with suppress(CredentialRun.DoesNotExist):  # its configuration was deleted meanwhile, and the run with it
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
        run_queue.close(run, _at(now), RunOutcome.SKIPPED, "The configuration is switched off.")
        return
    search = Search(configuration)
    documents.public_url()
    context = search.context()
    decision = decide(configuration.schedule_rules, context, _at(now))
    _reopen(configuration, decision)
    if _skip(run, decision, _at(now)):
        return
    _check_documents(configuration, _at(now))
    clear_problem(configuration)
    _begin_counting(run)
    refused = 0
    for looked_at, findings in search.chunks():
        refused += _write_chunk(run, context, looked_at, findings, now)
        run.refresh_from_db(fields=["checked", "eligible", "issued", "failed"])
        on_progress(run)
        if should_stop():
            run_queue.release(run, _at(now))
            return
        if _is_switched_off(run):
            note = "The configuration was switched off while the run was going."
            run_queue.close(run, _at(now), RunOutcome.SKIPPED, note)
            return
    final = isinstance(decision, FinalRun)
    fires_again = configuration.enabled and not final and configuration.closed_at is None
    run_queue.close(run, _at(now), RunOutcome.DONE, _note_on_refused(refused, fires_again=fires_again), final=final)


# --- before anybody is looked for --------------------------------------------------------------------------------


def _is_switched_off(run: CredentialRun) -> bool:
    """Return whether only the schedule wants this run, and the configuration is switched off, as both are now."""
    only_scheduled = CredentialRun.objects.filter(pk=run.pk, cause=RunCause.SCHEDULE)
    return only_scheduled.filter(configuration__enabled=False).exists()


def _reopen(configuration: CredentialConfiguration, decision: Decision) -> None:
    """Open a closed context again when its end date has moved. What was switched off stays off."""
    if isinstance(decision, (Run, Skip)) and decision.reopens:
        periodic.reopen(configuration)


def _skip(run: CredentialRun, decision: Decision, now: dt.datetime) -> bool:
    """Close the run when the dates forbid it, and return whether it was closed."""
    if run.ignore_dates or not isinstance(decision, (Skip, Closed)):
        return False
    # Somebody may have asked for the run in spite of the date checks since the worker read it.
    return run_queue.close(run, now, RunOutcome.SKIPPED, decision.reason, unless_forced=True)


def _check_documents(configuration: CredentialConfiguration, now: dt.datetime) -> None:
    """Raise Permanent or GenerationError when no document can be made: once for the run, and not for each learner."""
    problem = expiry_error(now, valid_days=configuration.valid_days, valid_until=configuration.valid_until)
    if problem:
        raise Permanent(problem)
    with renderers.renderer_for(configuration):
        pass


def _begin_counting(run: CredentialRun) -> None:
    """Begin with what an earlier worker of this run has written: those people are not found again."""
    if run.checked:
        found = Credential.objects.filter(run=run)
        failed = found.filter(status=CredentialStatus.ERROR).count()
        run_queue.claims.still_claimed([run]).update(checked=0, eligible=found.count(), failed=failed)


# --- one chunk of people -----------------------------------------------------------------------------------------


def _write_chunk(
    run: CredentialRun, context: Context, looked_at: int, findings: list[PersonEligibility], now: dt.datetime | None
) -> int:
    """Commit a chunk, and return how many eligible people got no credential. Raises ClaimLostError."""
    people = [found.person for found in findings if found.eligibility.eligible]
    languages = new_credentials.languages_of(people)

    def work() -> int:
        at = _at(now)
        with transaction.atomic():
            # The run's row first: two transactions that both hold a shared lock on it could not both change it.
            run_queue.renew(run, at, checked=F("checked") + looked_at, eligible=F("eligible") + len(people))
            refused = len(new_credentials.write(run.configuration, people, context, languages, now=at, run=run))
            if refused:
                run_queue.claims.still_claimed([run]).update(failed=F("failed") + refused)
            if len(people) > refused:
                document_queue.notify_worker_on_commit()
        return refused

    return retry_transient(work, give_up_seconds=DATABASE_GIVE_UP_SECONDS)


# --- how a run ends ----------------------------------------------------------------------------------------------


def _note_on_refused(refused: int, *, fires_again: bool) -> str:
    """Return how many eligible people got no credential, and how they get one."""
    if not refused:
        return ""
    remedy = (
        "the next run finds them."
        if fires_again
        else "then generate in spite of the dates, since the schedule does not fire any more."
    )
    return (
        f"{refused} eligible learners got none: their username belongs to another LMS user here, or the host takes no "
        f"account like theirs. Correct these accounts, or their LMS user ids; {remedy}"
    )


def _fail(run: CredentialRun, now: dt.datetime, note: str) -> None:
    """Close the run, and write on the configuration what a person has to do before anybody gets a credential."""
    try:
        run_queue.close(run, now, RunOutcome.FAILED, note)
    except ClaimLostError:
        return
    report_problem(run.configuration, note)


def _try_again_later(run: CredentialRun, now: dt.datetime, error: Exception) -> None:
    """Reschedule the run. After too many attempts it fails, and the next schedule begins a new one."""
    message = log_unforeseen(error, f"run {run.pk} was carried out")
    if run.attempts >= config.issuing["max_attempts"]:
        _fail(run, now, f"Given up after {run.attempts} tries; the next run tries again. {message}")
        return
    retry_after = error.retry_after if isinstance(error, Retryable) else None
    due_at = next_attempt_at(now, run.attempts, retry_after=retry_after)
    run_queue.reschedule(run, due_at, f"To be tried again. {message}")


def _at(now: dt.datetime | None) -> dt.datetime:
    return now or timezone.now()
