"""What commands show while they work: a bar with counts, on a terminal and in logs alike."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from tqdm import tqdm

from credentials_config.issuing import generation, runs
from credentials_config.issuing.generation import GenerationResult
from credentials_config.models import CredentialRun, RunOutcome

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Lets the first SIGTERM or Ctrl-C end the work after the document at hand."""

    def __enter__(self) -> Self:
        self._asked = threading.Event()
        # Only the main thread is told of signals.
        numbers = SIGNALS if threading.current_thread() is threading.main_thread() else ()
        self._before = {number: signal.signal(number, self._stop) for number in numbers}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Rest for some seconds, or until asked to stop."""
        self._asked.wait(seconds)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._asked.set()


def carry_out(run: CredentialRun, stop: Stopping, *, verbosity: int) -> CredentialRun:
    """Carry out a claimed run with a bar of the people looked at."""
    with _bar(f"Looking: {run.configuration.context_key}", "people", verbosity) as bar:

        def on_progress(run: CredentialRun) -> None:
            bar.update(run.asked - bar.n)
            bar.set_postfix(eligible=run.eligible)

        return runs.carry_out(run, should_stop=stop, on_progress=on_progress)


def make_documents(
    stop: Stopping,
    *,
    total: int,
    verbosity: int,
    say: Callable[[str], Any],
    configurations: list[int] | None = None,
) -> GenerationResult:
    """Make what is due with a bar of the documents, and say how many that were and how fast."""
    began = time.monotonic()
    with _bar("Making documents", "documents", verbosity, total=total) as bar:

        def on_progress(result: GenerationResult) -> None:
            bar.update(result.seen - bar.n)
            bar.set_postfix(made=result.made, failed=result.failed)

        result = generation.make_due(should_stop=stop, on_progress=on_progress, configurations=configurations)
    seconds = time.monotonic() - began
    rate = result.made / max(seconds, 0.001)
    say(f"Documents made: {result.made} in {seconds:.1f} s ({rate:.1f} a second), failed: {result.failed}.")
    return result


def line_of(run: CredentialRun) -> str:
    """Say how a run ended."""
    about = f"{run.configuration.credential_type} in {run.configuration.context_key}"
    if run.outcome == RunOutcome.DONE:
        said = f"{run.asked} people looked at, {run.eligible} newly eligible."
    elif run.outcome == RunOutcome.SKIPPED:
        said = "skipped."
    elif run.outcome == RunOutcome.FAILED:
        said = "FAILED."
    else:
        said = "not finished; it is taken up again later."
    return " ".join(filter(None, [f"{about}:", said, run.note]))


def _bar(words: str, unit: str, verbosity: int, *, total: int | None = None) -> tqdm:
    # Into a log only a line now and then.
    pause = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(desc=words, unit=f" {unit}", total=total, disable=verbosity < 1, mininterval=pause, file=sys.stderr)
