"""What commands share that start a run and carry it out: the progress bar, and going on with the same command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from badges.common.progress_bar import ProgressBar
from badges.common.stopping import StopRequest
from badges.runs import queue, results, worker
from badges.runs.models import ACTIVE, Run, RunMode, RunState

# The wait between two looks at a run that waits, or that another worker carries out.
WAIT_SECONDS = 1.0


class Stopped(CommandError):
    """Somebody has stopped the command."""


def started(
    kind: str, parameters: Mapping[str, Any], *, mode: RunMode, stdout: OutputWrapper, person: Any = None
) -> Run:
    """
    Start a run, or return the open one of the same mode and parameters, which is to go on. Raises as the queue.

    ``person`` is the user of the host who asks.
    """
    try:
        return queue.start(kind, mode=mode, parameters=parameters, person=person)
    except queue.RunRefused:
        wanted = queue.prepare(kind, mode=mode, parameters=parameters)
        begun = Run.objects.filter(kind=kind, subject=wanted.subject, active_key=ACTIVE, mode=mode)
        run = begun.filter(parameters=wanted.parameters).first()
        if run is None:
            raise
        stdout.write(f"There is an open run, {run.pk}, which goes on.")
        return run


def account(username: str | None) -> Any:
    """Return the account with this username, None for None. Raises CommandError when there is none."""
    if username is None:
        return None
    users = get_user_model()
    person = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if person is None:
        raise CommandError("--by: there is no account with this username here.")
    return person


def carry_out(
    run: Run, stop: StopRequest, *, unit: str, stderr: OutputWrapper, verbosity: int, total: int | None = None
) -> None:
    """
    Carry a run out with a progress bar, or watch another worker do it, until it is closed.

    ``total`` is how many units there are, if the run does not say so yet. Raises Stopped when somebody stops it, and
    CommandError when it has not ended well.
    """
    with ProgressBar(stderr, unit=unit, total=total if run.total is None else run.total, verbosity=verbosity) as bar:
        while run.is_open:
            claimed = queue.claim(now=timezone.now(), run_id=run.pk)
            if claimed is not None:
                worker.carry_out(claimed, should_stop=stop, on_progress=lambda changed: bar.show(changed.done))
            elif not stop.requested:
                stop.wait(WAIT_SECONDS)
            run.refresh_from_db()
            bar.show(run.done)
            if run.is_open and stop.requested:
                raise Stopped("Stopped before the end. Give the same command again: it goes on there.")
    if run.state != RunState.DONE:
        raise CommandError(f"The run is {run.get_state_display()}. {run.note} The admin page Runs can resume it.")


def counts_of(run: Run) -> str:
    """Return what a run has counted, for people; blank when it has counted nothing."""
    return ", ".join(f"{name}: {number}" for name, number in sorted(run.read_counts().items()))


def write_result(run: Run, file: Path) -> None:
    """Write the result of a run into a file. Raises CommandError when it is gone, or cannot be written."""
    if not results.is_file(run.result.name):
        raise CommandError(f"The run has no result any more. {run.note}".strip())
    try:
        with run.result.open("rb") as stored:
            file.write_bytes(stored.read())
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}. The run is done; its page has the result.") from error
