"""Runs and documents as the commands show them: a progress bar during the work and one line at its end."""

from __future__ import annotations

import time

from django.core.management.base import OutputWrapper

from badges.api import RunState
from badges.common.progress_bar import ProgressBar
from badges.common.stopping import StopRequest
from credentials_config.issuing import generation, runs
from credentials_config.issuing.generation import GenerationResult
from credentials_config.models import CredentialRun


def carry_out(run: CredentialRun, stop: StopRequest, *, stderr: OutputWrapper, verbosity: int) -> CredentialRun:
    """Carry out a claimed run, show how many people were looked at, and return the run as it ended."""
    title = f"Looking: {run.configuration.context_key}"
    with ProgressBar(stderr, title=title, unit="people", verbosity=verbosity) as bar:

        def on_progress(run: CredentialRun) -> None:
            bar.show(run.checked, eligible=run.eligible)

        return runs.carry_out(run, should_stop=stop, on_progress=on_progress)


def make_documents(
    stop: StopRequest,
    *,
    total: int,
    stdout: OutputWrapper,
    stderr: OutputWrapper,
    verbosity: int,
    configurations: list[int] | None = None,
) -> GenerationResult:
    """
    Make the documents that are due, and write how many were made and how fast.

    ``total`` is how many are expected. ``configurations`` are ids; without them the documents of all are made.
    """
    began = time.monotonic()
    with ProgressBar(stderr, title="Making documents", unit="documents", total=total, verbosity=verbosity) as bar:

        def on_progress(result: GenerationResult) -> None:
            bar.show(result.seen, made=result.made, failed=result.failed)

        result = generation.make_due(should_stop=stop, on_progress=on_progress, configurations=configurations)
    seconds = time.monotonic() - began
    rate = result.made / max(seconds, 0.001)
    stdout.write(f"Documents made: {result.made} in {seconds:.1f} s ({rate:.1f} a second), failed: {result.failed}.")
    return result


def summary_of(run: CredentialRun) -> str:
    """Return one line that says how a run ended."""
    if run.outcome == RunState.DONE:
        ending = f"{run.checked} people looked at, {run.eligible} newly eligible."
    elif run.outcome == RunState.SKIPPED:
        ending = "skipped."
    elif run.outcome == RunState.FAILED:
        ending = "FAILED."
    elif run.outcome == RunState.CANCELLED:
        ending = "cancelled."
    else:
        ending = "not finished; it is continued later."
    subject = f"{run.configuration.credential_type} in {run.configuration.context_key}:"
    return " ".join(filter(None, [subject, ending, run.note]))
