"""
Making documents: claim due rows, make each document, store it, and finish the rows a batch at a time.

There are three kinds of failure:

* The document of one learner: that row alone is tried again later. After some attempts it waits for a person.
* Every document of a configuration (a broken template, a missing font), or the storage: all are postponed, with the
  reason, and lose no attempt.
* The worker itself: its rows are claimed again when the lease ends, one at a time, so that a row that kills workers
  takes no other with it. A worker that is told to stop, such as by Celery's soft time limit, releases its rows.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby

from django.utils import timezone

from badges.common.stopping import INTERRUPTIONS
from badges.exceptions import Permanent, Retryable
from credentials_config.conf import config
from credentials_config.contracts import JSON, Document, GenerationError, Renderer
from credentials_config.issuing import document_queue, documents, renderers
from credentials_config.issuing.document_context import document_context_of
from credentials_config.issuing.document_queue import StoredDocument
from credentials_config.issuing.errors import clear_problem, log_unforeseen, postpone, storable_message
from credentials_config.issuing.without_document import GIVEN, recipient_of
from credentials_config.models import Credential, CredentialConfiguration

log = logging.getLogger(__name__)

# Finish what is stored at least this often: a kill then costs little, and the lease does not end at a slow storage.
FINISH_SECONDS = 10.0


@dataclass
class GenerationResult:
    """What became of claimed rows. ``postponed``: all of the configuration are; ``lost``: another worker has them."""

    made: int = 0
    failed: int = 0
    postponed: int = 0
    lost: int = 0

    @property
    def seen(self) -> int:
        return self.made + self.failed + self.postponed + self.lost

    def __iadd__(self, other: GenerationResult) -> GenerationResult:
        self.made += other.made
        self.failed += other.failed
        self.postponed += other.postponed
        self.lost += other.lost
        return self


def make_due(
    *,
    now: dt.datetime | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    configurations: Iterable[int] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[GenerationResult], None] = lambda result: None,
) -> GenerationResult:
    """
    Make the documents that are due, until none is left, ``limit`` rows were seen, or ``seconds`` have passed.

    ``configurations``: only of these (ids). ``should_stop`` is asked before each document. ``on_progress`` is called
    after each batch. ``now`` is the time to act at, for tests. Must not be called in a transaction.
    """
    ends_at = None if seconds is None else time.monotonic() + seconds
    done = GenerationResult()

    def is_over() -> bool:
        return should_stop() or (ends_at is not None and time.monotonic() > ends_at)

    while not is_over() and (limit is None or done.seen < limit):
        size = int(config.issuing["batch"])
        size = size if limit is None else min(size, limit - done.seen)
        claimed = document_queue.claim(size, now=now, configurations=configurations)
        if not claimed:
            break
        for _, rows in groupby(claimed, key=lambda row: row.configuration_id):
            done += DocumentBatch(list(rows), now, should_stop).make()
        on_progress(done)
    return done


@dataclass
class DocumentBatch:
    """Claimed rows of one configuration, whose documents are made one after the other."""

    rows: list[Credential]
    now: dt.datetime | None
    should_stop: Callable[[], bool]
    result: GenerationResult = field(default_factory=GenerationResult)

    def make(self) -> GenerationResult:
        """Make the documents. Afterwards every row is finished, failed, released or lost."""
        configuration = self.rows[0].configuration
        self._waiting = self._fail_rows_that_killed_workers()
        self._stored: list[StoredDocument] = []
        self._begun: Credential | None = None
        self._finished_at = time.monotonic()
        try:
            if self._waiting:
                self._make_waiting(configuration)
        finally:  # also when the worker has to stop
            self._finish_stored()
            self._release_waiting()
        if self.result.made and configuration.problem_until is not None and not self.result.postponed:
            clear_problem(configuration, only_postponed=True)
        return self.result

    def _fail_rows_that_killed_workers(self) -> list[Credential]:
        """Fail the rows whose workers were killed again and again, and return the others."""
        most = config.issuing["max_attempts"]
        for row in self.rows:
            if row.attempts > most:
                self._fail(
                    row, "Its worker was killed while it was made, again and again. Look at its log, then retry."
                )
        return [row for row in self.rows if row.attempts <= most]

    def _make_waiting(self, configuration: CredentialConfiguration) -> None:
        what = f"documents of configuration {configuration.pk} were made"
        try:
            with renderers.renderer_for(configuration) as renderer:
                documents.public_url()
                while self._waiting and not self.should_stop() and self._make_next(renderer):
                    if time.monotonic() - self._finished_at > FINISH_SECONDS:
                        self._finish_stored()
                        document_queue.renew(self._waiting, self._at())
        except INTERRUPTIONS:
            raise
        except (Permanent, GenerationError) as error:
            self._postpone("postpone_seconds", log_unforeseen(error, what))
        except Exception as error:  # a worker loop: storages fail in ways that nobody can list
            problem = f"Templates or assets cannot be read: {log_unforeseen(error, what)}"
            self._postpone("storage_postpone_seconds", problem)

    def _make_next(self, renderer: Renderer) -> bool:
        """
        Make and store the next document; returns False when the storage takes none.

        Raises GenerationError, Permanent or Retryable when no document of this configuration can be made.
        """
        row = self._begun = self._waiting[0]
        try:
            if not getattr(renderer, "makes_documents", True):
                self._give(renderer, row)
                self._waiting.pop(0)
                return True
            document = _document_of(renderer, row)
        except GenerationError as error:
            if error.everyone:
                raise
            self._waiting.pop(0)
            self._fail(row, str(error))
            return True
        except (Permanent, Retryable, *INTERRUPTIONS):
            raise
        except Exception as error:  # the generator is a plug-in: its bug costs this row only
            self._waiting.pop(0)
            self._fail(row, log_unforeseen(error, f"the document of credential {row.pk} was made"))
            return True
        try:
            name = documents.file_name(row.pk, row.document_number + 1, document.extension, row.claims)
            name = documents.save(name, document)
        except INTERRUPTIONS:
            raise
        except Exception as error:
            self._postpone_for_storage(row, error)
            return False
        self._waiting.pop(0)
        self._stored.append(StoredDocument(row, name, dict(getattr(renderer, "made_from", {}))))
        return True

    def _give(self, renderer: Renderer, row: Credential) -> None:
        """Give the learner what is no document; the row is finished with it."""

        def give(row: Credential) -> dict[str, JSON]:
            return {**renderer.made_from, GIVEN: renderer.give(recipient_of(row, self._at()))}

        if document_queue.finish_without_document(row, give):
            self.result.made += 1
        else:
            self.result.lost += 1

    def _postpone_for_storage(self, row: Credential, error: Exception) -> None:
        """Count the attempt of this row, since the storage may refuse only its file. The others lose none."""
        message = log_unforeseen(error, "one was stored")
        problem = f"The storage {config.documents['storage']!r} does not take documents: {message}"
        self._waiting.pop(0)
        self._fail(row, problem)
        self._postpone("storage_postpone_seconds", problem)

    def _postpone(self, setting: str, problem: str) -> None:
        self._begun = None
        until = self._at() + dt.timedelta(seconds=config.issuing[setting])
        postpone(self.rows[0].configuration, problem, until)
        self.result.postponed += len(self._waiting)

    def _fail(self, row: Credential, message: str) -> None:
        if document_queue.fail(row, message, self._at()):
            self.result.failed += 1
        else:
            self.result.lost += 1

    def _finish_stored(self) -> None:
        stored = self._stored
        self._finished_at = time.monotonic()
        if not stored:
            return
        finished = document_queue.finish(stored)
        self._stored = []  # not before: a worker that is interrupted above finishes them once more
        lost = [each for each in stored if each.row.pk not in finished]
        self.result.made += len(finished)
        self.result.lost += len(lost)
        for each in lost:
            _remove_unused(each)

    def _release_waiting(self) -> None:
        if self._begun is not None and self._begun in self._waiting:
            document_queue.release_interrupted(self._begun, self._at())
        document_queue.release([row for row in self._waiting if row is not self._begun], self._at())

    def _at(self) -> dt.datetime:
        return self.now or timezone.now()


def _document_of(renderer: Renderer, row: Credential) -> Document:
    document = renderer.render(document_context_of(row))
    if not isinstance(document, Document) or not isinstance(document.content, bytes):
        raise GenerationError(
            f"{type(renderer).__name__}.render gave no credentials_config.contracts.Document with bytes in it. Repair "
            "the package that brings this generator",
            everyone=True,
        )
    return document


def _remove_unused(stored: StoredDocument) -> None:
    """
    Remove a file that no row will ever name.

    Its credential was taken back or wiped while the document was made, or another worker was quicker. When the row does
    name the file, this worker finished it in a transaction whose answer was lost.
    """
    try:
        if not Credential.objects.filter(pk=stored.row.pk, document=stored.name).exists():
            documents.remove(stored.name)
    except INTERRUPTIONS:
        raise
    except Exception as error:
        log.error(
            "The file %s belongs to no credential and cannot be removed: %s", stored.name, storable_message(error)
        )
