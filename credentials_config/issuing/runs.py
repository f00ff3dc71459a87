"""
What a run does: look at the dates, find the eligible learners chunk by chunk, write a row for each of them.

``CredentialRuns`` is the kind ``credentials`` of ``badges.runs``. Each chunk is a step: the new rows, the counts of the
run and the lease for the next chunk are one transaction. When a worker is killed, another one carries the run out from
its beginning. People who were found before have a credential by then, so they are not found again.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from django.db.models import F
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from badges import api as badges
from badges.exceptions import Permanent
from credentials_config.conf import config
from credentials_config.contracts import Context, GenerationError
from credentials_config.issuing import document_queue, documents, new_credentials, periodic, renderers, run_queue
from credentials_config.issuing.errors import clear_problem, report_problem
from credentials_config.issuing.search import PersonEligibility, Search
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, CredentialStatus, RunCause
from credentials_config.schedules import Closed, Decision, FinalRun, Run, Skip, decide, expiry_error

log = logging.getLogger(__name__)

Progress = Callable[[CredentialRun], None]

DELETED = "Its configuration was deleted."
SWITCHED_OFF = "The configuration is switched off."
SWITCHED_OFF_MEANWHILE = "The configuration was switched off while the run was going."


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

    def report(changed: badges.Run) -> None:
        run.run = changed
        on_progress(run)

    clock = timezone.now if now is None else lambda: now
    badges.carry_out_run(run.run, now=clock, should_stop=should_stop, on_progress=report)
    with suppress(CredentialRun.DoesNotExist):  # its configuration was deleted meanwhile, and this row with it
        run.refresh_from_db()
    return run


class CredentialRuns(badges.RunKind):
    """Runs that look for the eligible learners of a configuration. ``run_queue.request`` starts them."""

    label = gettext_lazy("credentials")
    modes = (badges.RunMode.APPLY,)
    task = run_queue.TASK
    starts_over = True  # the lists of the LMS have no stable order, so a place in them means nothing later
    result_names_people = False  # it has none
    is_started_by_staff = False  # the page of a configuration does, since a run needs its row of this app

    def limits(self) -> badges.RunLimits:
        """Return the limits of the settings of this app."""
        return badges.RunLimits(
            lease_seconds=config.issuing["run_lease_seconds"],
            max_attempts=config.issuing["max_attempts"],
            base_delay=config.issuing["base_delay"],
            max_delay=config.issuing["max_delay"],
            keep_days=config.issuing["keep_runs_days"],
        )

    def subject(self, parameters: Any) -> str:
        """Return the id of the configuration."""
        return str(parameters["configuration"])

    def page(self, run_id: uuid.UUID) -> str | None:
        """Return the page that shows cause, credentials issued and credentials failed."""
        if not CredentialRun.objects.filter(pk=run_id).exists():
            return None
        with suppress(NoReverseMatch):  # the host has no admin
            return reverse("admin:lms_credentials_config_credentialrun_change", args=[run_id])
        return None

    def apply(self, job: badges.Job) -> Iterator[badges.Step]:
        """Yield one step for each chunk of people, and one that ends the run."""
        related = CredentialRun.objects.select_related("configuration__credential_type")
        run = related.filter(pk=job.run_id).first()
        if run is None:
            yield _end(badges.RunState.CANCELLED, DELETED)
            return
        try:
            yield from _Search(run, job).steps()
        except GenerationError as error:
            raise Permanent(str(error)) from error

    def failed(self, job: badges.Job, note: str) -> None:
        """Write on the configuration what a person has to do before anybody gets a credential."""
        configuration = CredentialConfiguration.objects.filter(runs=job.run_id).first()
        if configuration is not None:
            report_problem(configuration, note)


class _Search:
    """The steps of one run."""

    def __init__(self, run: CredentialRun, job: badges.Job) -> None:
        self._run = run
        self._configuration = run.configuration
        self._job = job

    def steps(self) -> Iterator[badges.Step]:
        if _is_switched_off(self._run.cause, self._configuration.enabled):
            yield _end(badges.RunState.SKIPPED, SWITCHED_OFF)
            return
        search = Search(self._configuration)
        documents.public_url()
        context = search.context()
        decision = decide(self._configuration.schedule_rules, context, self._job.now)
        self._reopen(decision)
        if isinstance(decision, (Skip, Closed)) and not self._ignores_dates():
            # Somebody may ask for the run in spite of the date checks before this is committed. Then it goes on.
            yield _end(badges.RunState.SKIPPED, decision.reason, unless=self._ignores_dates)
        self._check_documents()
        clear_problem(self._configuration)
        if self._job.counts or self._job.done:
            yield badges.Step(cursor=None, work=self._count_those_found_before)
        for looked_at, findings in search.chunks():
            yield self._chunk(context, looked_at, findings)
            as_it_is = (
                CredentialRun.objects.filter(pk=self._run.pk).values_list("cause", "configuration__enabled").first()
            )
            if as_it_is is None:
                yield _end(badges.RunState.CANCELLED, DELETED)
                return
            if _is_switched_off(*as_it_is):
                yield _end(badges.RunState.SKIPPED, SWITCHED_OFF_MEANWHILE)
                return
        yield badges.Step(cursor=None, ends=lambda counts: self._finish(decision, counts))

    # --- before anybody is looked for --------------------------------------------------------------------------------

    def _ignores_dates(self) -> bool:
        return CredentialRun.objects.filter(pk=self._run.pk, ignore_dates=True).exists()

    def _reopen(self, decision: Decision) -> None:
        """Open a closed context again when its end date has moved. What was switched off stays off."""
        if isinstance(decision, (Run, Skip)) and decision.reopens:
            periodic.reopen(self._configuration)

    def _check_documents(self) -> None:
        """Raise Permanent or GenerationError when no document can be made: once for the run, not for each learner."""
        configuration = self._configuration
        problem = expiry_error(
            self._job.now, valid_days=configuration.valid_days, valid_until=configuration.valid_until
        )
        if problem:
            raise Permanent(problem)
        with renderers.renderer_for(configuration):
            pass

    def _count_those_found_before(self) -> dict[str, int]:
        """Begin with what an earlier worker of this run has written: those people are not found again."""
        found = Credential.objects.filter(run=self._run.pk)
        failed = found.filter(status=CredentialStatus.ERROR).count()
        CredentialRun.objects.filter(pk=self._run.pk).update(failed=failed)
        return {"eligible": found.count()}

    # --- one chunk of people -----------------------------------------------------------------------------------------

    def _chunk(self, context: Context, looked_at: int, findings: list[PersonEligibility]) -> badges.Step:
        """Return the step that writes a credential for each eligible person of a chunk."""
        people = [found.person for found in findings if found.eligibility.eligible]
        languages = new_credentials.languages_of(people)

        def work() -> dict[str, int]:
            # The row first: two transactions that both hold a shared lock on it could not both change it.
            row = CredentialRun.objects.filter(pk=self._run.pk)
            if not list(row.select_for_update().values_list("pk")):
                raise Permanent(DELETED)
            now = self._job.clock()
            without = new_credentials.write(self._configuration, people, context, languages, now=now, run=self._run)
            retired = len(new_credentials.retired_among(without))
            refused = len(without) - retired
            if refused:
                row.update(failed=F("failed") + refused)
            if len(people) > len(without):
                document_queue.notify_worker_on_commit()
            counts = {"eligible": len(people) - retired, "refused": refused, "retired": retired}
            return {name: number for name, number in counts.items() if number}

        return badges.Step(cursor=None, done=looked_at, work=work)

    # --- how a run ends ----------------------------------------------------------------------------------------------

    def _finish(self, decision: Decision, counts: Mapping[str, int]) -> badges.Ending:
        """Close the context with its last run, and return how the run ends."""
        configuration = self._configuration
        final = isinstance(decision, FinalRun)
        if final:
            now = self._job.clock()
            CredentialConfiguration.objects.filter(pk=configuration.pk).update(closed_at=now)
            CredentialRun.objects.filter(pk=self._run.pk, cause=RunCause.SCHEDULE).update(cause=RunCause.FINAL)
            configuration.closed_at = now
            periodic.sync_task(configuration)
        fires_again = configuration.enabled and configuration.closed_at is None
        note = _note_on_refused(counts.get("refused", 0), fires_again=fires_again)
        return badges.Ending(badges.RunState.DONE, note)


def _is_switched_off(cause: str, enabled: bool) -> bool:
    """Return whether only the schedule wants a run, and its configuration is switched off."""
    return cause == RunCause.SCHEDULE and not enabled


def _end(state: badges.RunState, note: str, *, unless: Callable[[], bool] = lambda: False) -> badges.Step:
    """Return a step that does nothing but close the run."""
    return badges.Step(cursor=None, ends=lambda counts: None if unless() else badges.Ending(state, note))


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
