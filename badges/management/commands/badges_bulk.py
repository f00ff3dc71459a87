"""Award or revoke the badges of a CSV file as one run, or take such a run back."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from badges.bulk import files, uploads
from badges.bulk.uploads import BulkAction, BulkReasons, Upload
from badges.common.progress_bar import ProgressBar
from badges.common.stopping import StopRequest, stop_on_signals
from badges.exceptions import Permanent, Retryable, UnusableReasonError
from badges.runs import queue, results, worker
from badges.runs.models import ACTIVE, Run, RunMode, RunState

ACTIONS = {"award": BulkAction.AWARD, "revoke": BulkAction.REVOKE}

# The wait between two looks at a run that another worker carries out.
WAIT_SECONDS = 1.0
MOST_PROBLEMS = 100


class Command(BaseCommand):
    """``badges_bulk award|revoke FILE [--apply]`` and ``badges_bulk undo RUN``."""

    help = (
        "Award or revoke the badges of a CSV file. Its first row has the headings learner (a username, an LMS user id "
        "or the UUID of a learner), template (slug or UUID) and, if you like, reason. Without --apply nothing is "
        "awarded or revoked: the command says what would happen. A file with a mistake is refused as a whole. After a "
        "kill or Ctrl-C give the same command again: it goes on where it stopped. undo takes back what a run has done. "
        "Exit code 1: the file has mistakes, or the run did not end; the message says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=[*ACTIONS, "undo"])
        parser.add_argument("what", metavar="FILE|RUN", help="undo: the id of the run, which its page shows")
        parser.add_argument("--apply", action="store_true", help="Do it. Otherwise the command only plans.")
        parser.add_argument("--by", metavar="USERNAME", help="Who decides it: an account of this host.")
        parser.add_argument("--reason", default="", help="For staff; for rows that have no reason of their own.")
        parser.add_argument(
            "--public-reason",
            default="",
            help="revoke: what providers get, and the learners and everybody who can open the public pages may read",
        )
        parser.add_argument("--no-block", action="store_true", help="revoke: the learners can get the badge again")
        parser.add_argument("--result", type=Path, metavar="FILE", help="Write what happened to each row, as CSV.")

    def handle(self, *args: Any, action: str, what: str, **options: Any) -> None:
        self._verbosity: int = options["verbosity"]
        person = self._account(options["by"])
        try:
            if action == "undo":
                run = self._undone(what, person)
            else:
                run = self._started(ACTIONS[action], Path(what), person, options)
            with stop_on_signals() as stop:
                self._carry_out(run, stop)
            self._report(run, options["result"])
        except (Permanent, Retryable, UnusableReasonError) as error:
            raise CommandError(str(error)) from error

    # --- which run ---------------------------------------------------------------------------------------------------

    def _account(self, username: str | None) -> Any:
        if username is None:
            return None
        users = get_user_model()
        person = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
        if person is None:
            raise CommandError("--by: there is no account with this username here.")
        return person

    def _started(self, action: BulkAction, file: Path, person: Any, options: dict[str, Any]) -> Run:
        """Start the run of a file, or return the open one of the same file, which is to go on."""
        reasons = BulkReasons(options["reason"], options["public_reason"], block=not options["no_block"])
        if action is BulkAction.AWARD and (reasons.public_reason or not reasons.block):
            raise CommandError("--public-reason and --no-block are for revoke.")
        upload = self._read(file, action)
        mode = RunMode.APPLY if options["apply"] else RunMode.PLAN
        try:
            return uploads.start(upload, reasons, mode=mode, by=person)
        except queue.RunRefused:
            begun = Run.objects.filter(kind=action, subject=uploads.digest(upload, reasons), active_key=ACTIVE)
            run = begun.filter(mode=mode).first()
            if run is None:
                raise
            self.stdout.write(f"This file has an open run, {run.pk}, which goes on.")
            return run

    def _read(self, file: Path, action: BulkAction) -> Upload:
        try:
            if problem := files.too_big(file.stat().st_size):
                raise CommandError(f"{file}: {problem}")
            content = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        upload = uploads.read(content, action=action)
        if problems := upload.problems:
            for problem in problems[:MOST_PROBLEMS]:
                self.stderr.write(problem)
            if len(problems) > MOST_PROBLEMS:
                self.stderr.write(f"… and {len(problems) - MOST_PROBLEMS} more.")
            many = f"{len(problems)} mistakes" if len(problems) > 1 else "one mistake"
            raise CommandError(f"{file}: {many}; nothing was changed. Correct the rows and give the file again.")
        for row in upload.duplicates:
            self.stdout.write(f"Row {row.number} repeats row {row.duplicate_of}; nothing is done for it.")
        return upload

    def _undone(self, text: str, person: Any) -> Run:
        """Start the run that takes another one back, or return the one that was started before."""
        try:
            run = Run.objects.filter(pk=uuid.UUID(text), kind__in=ACTIONS.values()).first()
        except ValueError:
            run = None
        if run is None:
            raise CommandError("There is no bulk run with this id. The admin page Runs lists them.")
        before = Run.objects.filter(undoes=run).first()
        if before is None:
            return queue.undo(run, person=person)
        if queue.can_resume(before):
            queue.resume(before)
            before.refresh_from_db()
        return before

    # --- carrying it out ---------------------------------------------------------------------------------------------

    def _carry_out(self, run: Run, stop: StopRequest) -> None:
        """Carry a run out, or watch another worker do it, until it is closed."""
        total = run.total or int(run.read_parameters()["rows"])
        with ProgressBar(self.stderr, unit="rows", total=total, verbosity=self._verbosity) as bar:
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

    def _report(self, run: Run, result: Path | None) -> None:
        counts = ", ".join(f"{name}: {number}" for name, number in sorted(run.read_counts().items()))
        self.stdout.write(f"Run {run.pk}: {counts or 'there was nothing to do'}.")
        if run.state != RunState.DONE:
            raise CommandError(f"The run is {run.get_state_display()}. {run.note} The admin page Runs can resume it.")
        if result is not None:
            self._write_result(run, result)
        if run.mode == RunMode.PLAN:
            self.stdout.write("Nothing was awarded or revoked. To do it, give the same command with --apply.")
        elif run.mode == RunMode.APPLY:
            self.stdout.write(f"To take all of it back: manage.py badges_bulk undo {run.pk}")

    def _write_result(self, run: Run, file: Path) -> None:
        if not results.is_file(run.result.name):
            raise CommandError(f"The run has no result any more. {run.note}".strip())
        try:
            with run.result.open("rb") as stored:
                file.write_bytes(stored.read())
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}. The run is done; its page has the result.") from error
        self.stdout.write(f"What happened to each row is in {file}.")
