"""Consume learning events from Kafka, Redis or a file, and decide them."""

from __future__ import annotations

import gc
import logging
import sys
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django import db
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from edx_django_utils.cache import RequestCache

from badges import pipeline
from badges.common.progress_bar import ProgressBar, write_above_bar
from badges.common.stopping import stop_on_signals
from badges.exceptions import Retryable
from badges.intake.consumers.file import FileBus
from badges.intake.consumers.kafka import KafkaBus
from badges.intake.consumers.loop import Bus, Consumer, ConsumerError, Counts
from badges.intake.consumers.redis import RedisBus
from badges.intake.events import Event, Unreadable

log = logging.getLogger(__name__)

EX_TEMPFAIL = 75  # of sysexits.h: try again later
SHOWN_LINE_ERRORS = 20
BUSES: dict[str, Callable[[list[str], str], Bus[Any]]] = {"kafka": KafkaBus, "redis": RedisBus}
BUS_USAGE = "consume_badge_events --bus {bus} -t learning-course-passing-status -g badges"
FILE_USAGE = "consume_badge_events --bus file --input events.jsonl"


def positive_int(text: str) -> int:
    """Return a text as a number of at least one. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


class Command(BaseCommand):
    """``consume_badge_events --bus kafka|redis|file``: see ``add_arguments``."""

    help = (
        "Consume learning events and decide them: progress, awards. From Kafka and Redis it runs until SIGTERM or "
        "Ctrl-C, and then finishes its batch; several processes of one group share the work. Events are acknowledged "
        "when all that they changed is committed; an event that arrives twice counts once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bus", choices=[*BUSES, "file"], help="where the events are; without it: the host's bus")
        parser.add_argument(
            "-t",
            "--topic",
            nargs="+",
            action="extend",
            default=[],
            metavar="TOPIC",
            help="topics, without EVENT_BUS_TOPIC_PREFIX",
        )
        parser.add_argument(
            "-g", "--group", metavar="GROUP", help="consumer group; a new one starts at the earliest event"
        )
        parser.add_argument("--input", metavar="FILE", help="JSON Lines, one event a line; - reads standard input")
        parser.add_argument("--batch-size", type=positive_int, metavar="N", help="events in one transaction, at most")
        parser.add_argument("--until-idle", action="store_true", help="end when everything was read")
        parser.add_argument("--max-events", type=positive_int, metavar="N", help="end after N events")

    def handle(self, *args: Any, **options: Any) -> None:
        bus = _check_options(options)
        self.result = pipeline.BatchResult()
        try:
            with stop_on_signals() as self.stop:
                pipeline.warm_up()
                with _gc_frozen():
                    if bus == "file":
                        self._consume_file(options)
                    else:
                        self._consume_topics(BUSES[bus](options["topic"], options["group"]), options)
        except ConsumerError as error:
            raise CommandError(str(error)) from error
        except Retryable as error:
            raise CommandError(
                f"{error} This batch was not acknowledged and comes again: start the command again.",
                returncode=EX_TEMPFAIL,
            ) from error

    def _consume_topics(self, bus: Bus[Any], options: dict[str, Any]) -> None:
        with ProgressBar(self.stderr, unit="events", total=options["max_events"]) as bar:
            self._consume(
                bus,
                options,
                until_idle=options["until_idle"],
                progress=lambda counts: bar.show(counts.read),
            )

    def _consume_file(self, options: dict[str, Any]) -> None:
        line_errors = _LineErrors(self.stderr)
        bus = FileBus(options["input"], report_error=line_errors.add)
        with ProgressBar(self.stderr, unit="events", total_bytes=bus.total_bytes) as bar:
            consumer = self._consume(
                bus,
                options,
                until_idle=True,
                progress=lambda counts: bar.show(counts.read, done_bytes=bus.bytes_read),
                at_end=line_errors.close,
            )
        if not consumer.finished:
            raise CommandError(
                f"Stopped after line {bus.lines_decided}. Run it again to go on: what was done is recognised."
            )
        if line_errors.number:
            raise CommandError(
                f"{line_errors.number} of {consumer.counts.read} lines could not be read; correct them and run the "
                "file again: what was done is recognised."
            )

    def _consume(
        self,
        bus: Bus[Any],
        options: dict[str, Any],
        *,
        until_idle: bool,
        progress: Callable[[Counts], None],
        at_end: Callable[[], None] = lambda: None,
    ) -> Consumer[Any]:
        """Consume a bus, and print the summary in any case. ``at_end`` is called before the summary."""
        consumer = Consumer(
            bus,
            handle=self._decide,
            stop=self.stop,
            notify=self._notify,
            batch_size=options["batch_size"],
            until_idle=until_idle,
            max_events=options["max_events"],
            progress=progress,
        )
        try:
            consumer.run()
        finally:
            at_end()
            self._print_summary(consumer.counts)
        return consumer

    def _decide(self, batch: Sequence[Event | Unreadable]) -> None:
        try:
            self.result += pipeline.handle(batch)
        finally:
            # Django does this between requests. This process serves none, and its memory would grow.
            db.reset_queries()
            RequestCache.clear_all_namespaces()

    def _notify(self, text: str) -> None:
        """Notify the operator: in the log, and on the terminal when the log goes elsewhere."""
        log.warning(text)
        if not _log_is_on_stderr():
            self.stderr.write(text)

    def _print_summary(self, counts: Counts) -> None:
        result, seconds = self.result, counts.seconds
        ignored: Counter[tuple[str, str]] = counts.skipped + result.ignored
        self.stdout.write(
            f"{counts.read} events in {seconds:.1f} s ({counts.read / max(seconds, 0.001):.0f} a second): "
            f"{result.matched} matched, {result.awarded} awarded, "
            f"{f'{result.revoked} revoked, ' if result.revoked else ''}{result.duplicates} duplicates, "
            f"{result.dead} dead letters, {sum(ignored.values())} ignored."
        )
        if result.rescheduled:
            self.stdout.write(f"{result.rescheduled} failed for now and will be tried again.")
        for (event_type, reason), number in sorted(ignored.items()):
            self.stdout.write(f"  ignored {number}: {event_type}: {reason}")


def _check_options(options: dict[str, Any]) -> str:
    """Return the bus. Raises CommandError, which says what to type, when the arguments do not belong together."""
    bus = options["bus"] or ("file" if options["input"] else _bus_of_host() if options["topic"] else None)
    if bus is None:
        usages = [*(BUS_USAGE.format(bus=name) for name in BUSES), FILE_USAGE]
        raise CommandError("\n  ".join(["Say where the events are, for example:", *usages]))
    if bus == "file":
        if not options["input"]:
            raise CommandError(f"Name the file of events, or - for standard input:\n  {FILE_USAGE}")
        if options["topic"] or options["group"]:
            raise CommandError("-t and -g belong to --bus kafka and redis; a file has neither.")
        return bus
    if options["input"]:
        raise CommandError(f"--input belongs to --bus file; {bus.capitalize()} has topics (-t).")
    if not options["topic"] or not options["group"]:
        missing = "a topic (-t)" if not options["topic"] else "a consumer group (-g)"
        raise CommandError(f"Name {missing}:\n  {BUS_USAGE.format(bus=bus)}")
    return bus


def _bus_of_host() -> str | None:
    """Return the bus that the host's own consumer reads; None when it has none of ours."""
    package = str(getattr(settings, "EVENT_BUS_CONSUMER", "")).partition(".")[0]
    return next((name for name in BUSES if package == f"edx_event_bus_{name}"), None)


@contextmanager
def _gc_frozen() -> Iterator[None]:
    """
    Let Python's garbage collector look at objects of the batches only.

    Otherwise it visits all objects of Django and of the compiled catalog about once a batch. That takes a third of the
    time.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _log_is_on_stderr() -> bool:
    logger: logging.Logger | None = log
    while logger is not None:
        if any(getattr(handler, "stream", None) in (sys.stderr, sys.stdout) for handler in logger.handlers):
            return log.isEnabledFor(logging.WARNING)
        logger = logger.parent if logger.propagate else None
    return False


class _LineErrors:
    """Reports lines that could not be read: the first ones each, then how many more."""

    def __init__(self, stderr: OutputWrapper) -> None:
        self.number = 0
        self._stderr = stderr

    def add(self, line: int, reason: str) -> None:
        self.number += 1
        if self.number <= SHOWN_LINE_ERRORS:
            write_above_bar(self._stderr, f"line {line}: {reason}")

    def close(self) -> None:
        if self.number > SHOWN_LINE_ERRORS:
            self._stderr.write(f"… and {self.number - SHOWN_LINE_ERRORS} more lines.")
