"""What the commands have in common that start a run and carry it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from badges.common.progress_bar import ProgressBar
from badges.common.stopping import StopRequest
from badges.runs import queue, results, worker
from badges.runs.models import Run, RunState

# The wait between two looks at a run that another worker carries out.
WAIT_SECONDS = 1.0


class RunCommand(BaseCommand):
    """A command that carries a run out, until it is closed or the command is interrupted."""

    unit = "rows"
    """What the progress counts."""

    result_says = "What happened to each row"
    """What is in the result."""

    def account(self, username: str | None) -> Any:
        """Return who asks. Raises CommandError when there is no such account."""
        if username is None:
            return None
        users = get_user_model()
        person = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
        if person is None:
            raise CommandError("--by: there is no account with this username here.")
        return person

    def carry_out(self, run: Run, stop: StopRequest, *, total: int | None, verbosity: int) -> None:
        """Carry a run out, or watch another worker do it, until it is closed. Raises CommandError when stopped."""
        with ProgressBar(self.stderr, unit=self.unit, total=total, verbosity=verbosity) as bar:
            while run.is_open:
                claimed = queue.claim(now=timezone.now(), run_id=run.pk)
                if claimed is not None:
                    worker.carry_out(claimed, should_stop=stop, on_progress=lambda changed: bar.show(changed.done))
                elif not stop.requested:
                    stop.wait(WAIT_SECONDS)
                run.refresh_from_db()
                bar.show(run.done)
                if run.is_open and stop.requested:
                    raise CommandError("Stopped before the end. Give the same command again: it goes on there.")

    def report(self, run: Run, result: Path | None) -> None:
        """Print what a run has counted, and write its result. Raises CommandError when the run did not end well."""
        counts = ", ".join(f"{name}: {number}" for name, number in sorted(run.read_counts().items()))
        self.stdout.write(f"Run {run.pk}: {counts or 'there was nothing to do'}.")
        if run.state != RunState.DONE:
            raise CommandError(f"The run is {run.get_state_display()}. {run.note} The admin page Runs can resume it.")
        if result is not None:
            self._write_result(run, result)

    def _write_result(self, run: Run, file: Path) -> None:
        if not results.is_file(run.result.name):
            raise CommandError(f"The run has no result any more. {run.note}".strip())
        try:
            with run.result.open("rb") as stored:
                file.write_bytes(stored.read())
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}. The run is done; its page has the result.") from error
        self.stdout.write(f"{self.result_says} is in {file}.")
