"""
Making documents: claim due rows, make each, store it, and write down a batch at a time that it is there.

A claim is a lease that is committed before any work, and only its holder can finish a row. What fails is told apart:

* one learner's document: that row alone backs off, keeps its error, and stops after some tries until someone retries;
* every document of a configuration (a broken template, a missing font), or the storage: the configuration rests, says
  why, and the rows lose no try;
* the worker: its rows are taken up when the lease ends, one at a time, so that a row that kills workers takes no other
  with it. One that is told to stop, by Celery's soft time limit say, hands back what it has, and no row has failed.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, QuerySet, Value, When
from django.utils import timezone

from badges.database import retry_transient
from badges.exceptions import Permanent, Retryable
from credentials_config.conf import config
from credentials_config.contracts import Document, GenerationError, Renderer
from credentials_config.issuing import documents, files, mail, renderers
from credentials_config.issuing.document_context import document_context_of
from credentials_config.issuing.errors import INTERRUPTIONS, NOTE_LENGTH, hold, let_go, logged, next_try, said
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, CredentialStatus

log = logging.getLogger(__name__)

PATIENCE = 60.0
# Others look at the same rows at the same time: seeing more than we take leaves some for each.
SIGHT = 4
# What is made is written down at least this often, so that a kill costs little and slow storages keep their lease.
FLUSH_SECONDS = 10.0


@dataclass
class GenerationResult:
    """What became of claimed rows. ``held``: their configuration rests; ``lost``: taken by others meanwhile."""

    made: int = 0
    failed: int = 0
    held: int = 0
    lost: int = 0

    @property
    def seen(self) -> int:
        return self.made + self.failed + self.held + self.lost

    def __iadd__(self, other: GenerationResult) -> GenerationResult:
        self.made += other.made
        self.failed += other.failed
        self.held += other.held
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
    Make what is due until nothing is, or ``limit`` rows were seen, or ``seconds`` have passed. The worker's loop.

    Must not be called in a transaction. ``now`` holds the clock still.
    """
    ends_at = None if seconds is None else time.monotonic() + seconds
    done = GenerationResult()

    def enough() -> bool:
        return should_stop() or (ends_at is not None and time.monotonic() > ends_at)

    while not enough() and (limit is None or done.seen < limit):
        size = int(config.issuing["batch"])
        batch = claim(size if limit is None else min(size, limit - done.seen), now=now, configurations=configurations)
        if not batch:
            break
        for _, rows in groupby(batch, key=lambda row: row.configuration_id):
            done += _Batch(list(rows), now, should_stop).work()
        on_progress(done)
    return done


def anything_due(*, now: dt.datetime | None = None) -> bool:
    """Say whether a worker would find something to do."""
    return _due(_at(now), None).exists()


# --- claiming ----------------------------------------------------------------------------------------------------


def claim(
    limit: int, *, now: dt.datetime | None = None, configurations: Iterable[int] | None = None
) -> list[Credential]:
    """Claim up to ``limit`` due rows, longest due first; committed when this returns. Empty: there is nothing."""
    at = _at(now)
    for _round in range(3):
        seen = list(_due(at, configurations).order_by("due_at").values_list("pk", "claim")[: limit * SIGHT])
        if not seen:
            return []
        orphans = [pk for pk, holder in seen if holder is not None]
        candidates = orphans or [pk for pk, _ in seen]
        rows = retry_transient(lambda: _take(candidates, 1 if orphans else limit, at), patience=PATIENCE)  # noqa: B023
        if rows:
            return rows
    return []


def _due(now: dt.datetime, configurations: Iterable[int] | None) -> QuerySet[Credential]:
    at_rest = CredentialConfiguration.objects.filter(problem_until__gt=now).values_list("pk", flat=True)
    due = Credential.objects.filter(due_at__lte=now)
    if configurations is not None:
        due = due.filter(configuration__in=list(configurations))
    resting = list(at_rest)
    return due.exclude(configuration__in=resting) if resting else due


def _take(candidates: list[uuid.UUID], limit: int, now: dt.datetime) -> list[Credential]:
    """Write our claim on rows that nobody else has taken since they were seen."""
    mine = uuid.uuid4()
    values = {
        "claim": mine,
        "due_at": now + dt.timedelta(seconds=config.issuing["lease_seconds"]),
        "attempts": F("attempts") + 1,
        "claims": F("claims") + 1,
    }
    with transaction.atomic(durable=True):
        if not connection.features.has_select_for_update_skip_locked:
            # SQLite: one writer at a time, and the first statement is the write.
            Credential.objects.filter(pk__in=candidates[:limit], due_at__lte=now).update(**values)
            taken = candidates[:limit]
        else:
            free = Credential.objects.select_for_update(skip_locked=True).filter(pk__in=candidates, due_at__lte=now)
            taken = list(free.order_by("pk").values_list("pk", flat=True)[:limit])
            if not taken:
                return []
            Credential.objects.filter(pk__in=taken).update(**values)
        rows = Credential.objects.filter(pk__in=taken, claim=mine).select_related("configuration__credential_type")
        return list(rows.order_by("configuration_id", "pk"))


# --- one batch of one configuration ------------------------------------------------------------------------------


@dataclass
class _Made:
    row: Credential
    document: str
    made_from: dict[str, Any]


@dataclass
class _Batch:
    """Claimed rows of one configuration, on their way."""

    rows: list[Credential]
    now: dt.datetime | None
    should_stop: Callable[[], bool]
    result: GenerationResult = field(default_factory=GenerationResult)

    def work(self) -> GenerationResult:
        configuration = self.rows[0].configuration
        self._waiting = self._without_killers()
        self._made: list[_Made] = []
        self._in_hand: Credential | None = None
        self._flushed_at = time.monotonic()
        try:
            self._work(configuration)
        finally:  # also when the worker has to stop
            self._flush()
            self._put_back()
        if self.result.made and configuration.problem_until is not None and not self.result.held:
            let_go(configuration, only_hold=True)
        return self.result

    def _work(self, configuration: CredentialConfiguration) -> None:
        if not self._waiting:
            return
        try:
            with renderers.renderer_for(configuration) as renderer:
                documents.public_url()
                self._make_all(renderer)
        except INTERRUPTIONS:
            raise
        except (Permanent, GenerationError) as error:
            self._rest("hold_seconds", logged(error, f"documents of configuration {configuration.pk} were made"))
        except Exception as error:  # one of the two worker loops: a storage that is down fails in its own ways
            words = logged(error, f"documents of configuration {configuration.pk} were made")
            self._rest("storage_hold_seconds", f"Templates or assets cannot be read: {words}")

    def _without_killers(self) -> list[Credential]:
        """Give up on rows whose workers were killed again and again."""
        most = config.issuing["max_attempts"]
        for row in self.rows:
            if row.attempts > most:
                self._fail(
                    row, "Its worker was killed while it was made, again and again. Look at its log, then retry."
                )
        return [row for row in self.rows if row.attempts <= most]

    def _make_all(self, renderer: Renderer) -> None:
        while self._waiting and not self.should_stop():
            row = self._in_hand = self._waiting[0]
            try:
                document = _document_of(renderer, row)
            except GenerationError as error:
                if error.everyone:
                    raise
                self._waiting.pop(0)
                self._fail(row, str(error))
                continue
            except (Permanent, Retryable, *INTERRUPTIONS):
                raise
            except Exception as error:  # a plug-in of others: it costs this row
                self._waiting.pop(0)
                self._fail(row, logged(error, f"the document of credential {row.pk} was made"))
                continue
            try:
                name = documents.file_name(row.pk, row.document_number + 1, document.extension, row.claims)
                name = documents.save(name, document)
            except INTERRUPTIONS:
                raise
            except Exception as error:
                self._storage_down(row, error)
                return
            self._waiting.pop(0)
            self._made.append(_Made(row, name, dict(getattr(renderer, "made_from", {}))))
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._flush()
                self._renew()

    def _storage_down(self, row: Credential, error: Exception) -> None:
        """This row has had its try, since the storage may refuse just this one; the others lose none, and all rest."""
        words = (
            f"The storage {config.documents['storage']!r} does not take documents: {logged(error, 'one was stored')}"
        )
        self._waiting.pop(0)
        self._fail(row, words)
        self._rest("storage_hold_seconds", words)

    def _rest(self, setting: str, problem: str) -> None:
        self._in_hand = None
        until = _at(self.now) + dt.timedelta(seconds=config.issuing[setting])
        hold(self.rows[0].configuration, problem, until)
        self.result.held += len(self._waiting)

    def _put_back(self) -> None:
        """
        Give back what was not begun: no try is lost, and it is due at once (unless its configuration rests).

        What was interrupted is due too, but keeps its try: a document that outlasts every worker is given up some time.
        """
        at = _at(self.now)
        begun = [row for row in self._waiting if row is self._in_hand]
        rest = [row for row in self._waiting if row is not self._in_hand]
        if begun:
            retry_transient(lambda: _ours(begun).update(claim=None, due_at=at), patience=PATIENCE)
        if rest:
            as_before = {"attempts": F("attempts") - 1, "claims": F("claims") - 1}
            retry_transient(lambda: _ours(rest).update(claim=None, due_at=at, **as_before), patience=PATIENCE)

    def _renew(self) -> None:
        until = _at(self.now) + dt.timedelta(seconds=config.issuing["lease_seconds"])
        if self._waiting:
            retry_transient(lambda: _ours(self._waiting).update(due_at=until), patience=PATIENCE)

    def _flush(self) -> None:
        made = self._made
        self._flushed_at = time.monotonic()
        if not made:
            return
        kept = retry_transient(lambda: _finish(made), patience=PATIENCE)
        self._made = []  # not before: whoever is interrupted here flushes once more
        lost = [each for each in made if each.row.pk not in kept]
        self.result.made += len(kept)
        self.result.lost += len(lost)
        for each in lost:
            _clear_away(each)

    def _fail(self, row: Credential, words: str) -> None:
        at = _at(self.now)
        if retry_transient(lambda: _note_failure(row, words, at), patience=PATIENCE):
            self.result.failed += 1
        else:
            self.result.lost += 1


def _document_of(renderer: Renderer, row: Credential) -> Document:
    document = renderer.render(document_context_of(row))
    if not isinstance(document, Document) or not isinstance(document.content, bytes):
        raise GenerationError(
            f"{type(renderer).__name__}.render gave no credentials_config.contracts.Document with bytes in it. Repair "
            "the package that brings this generator",
            everyone=True,
        )
    return document


def _ours(rows: list[Credential]) -> QuerySet[Credential]:
    return Credential.objects.filter(pk__in=[row.pk for row in rows], claim=rows[0].claim)


def _finish(made: list[_Made]) -> set[uuid.UUID]:
    """
    Write down that documents are there, and that their learners be told; returns the rows that were still ours.

    What a document replaces, and what killed workers may have left of it, is removed once this has committed, by a
    message of the outbox: no kill can leave it.
    """
    with transaction.atomic():
        locked = _ours([each.row for each in made]).select_for_update().order_by("pk")
        kept = set(locked.values_list("pk", flat=True))
        ours = [each for each in made if each.row.pk in kept]
        if not ours:
            return kept
        _write_available(ours)
        _count([each.row for each in ours])
        replaced = [each for each in ours if each.row.document and each.row.document != each.document]
        files.discard((each.row.learner_id, each.row.pk, each.row.document) for each in replaced)
        files.discard(left for each in ours for left in _left_by_others(each))
        mail.announce(
            (each.row.learner_id, each.row.pk, each.row.document_number + 1)
            for each in ours
            if each.row.reissue.get("mail", True)
        )
    return kept


def _left_by_others(made: _Made) -> Iterator[tuple[int, uuid.UUID, str]]:
    return files.unfinished(made.row, made.document.rpartition(".")[2], before=made.row.claims)


def _write_available(made: list[_Made]) -> None:
    names = [When(pk=each.row.pk, then=Value(each.document)) for each in made]
    Credential.objects.filter(pk__in=[each.row.pk for each in made]).update(
        status=CredentialStatus.AVAILABLE,
        document=Case(*names, default=F("document")),
        document_number=F("document_number") + 1,
        made_from=made[0].made_from,
        due_at=None,
        claim=None,
        claims=0,
        attempts=0,
        error="",
    )
    for each in made:
        if each.row.reissue:
            said_now = {
                key: each.row.reissue[key] for key in ("learner_name", "context_name") if key in each.row.reissue
            }
            Credential.objects.filter(pk=each.row.pk).update(reissue={}, **said_now)


def _count(rows: list[Credential]) -> None:
    """Let the runs know what is there for the first time, and what of it had failed before."""
    first = [row for row in rows if row.run_id is not None and row.status != CredentialStatus.AVAILABLE]
    issued = Counter(int(row.run_id or 0) for row in first)
    recovered = Counter(int(row.run_id or 0) for row in first if row.status == CredentialStatus.ERROR)
    for run, number in sorted(issued.items()):
        counted: dict[str, Any] = {"issued": F("issued") + number}
        if again := recovered[run]:
            # Never below nought, which the database refuses: no document may wait for a count that missed a failure.
            counted["failed"] = Case(When(failed__gte=again, then=F("failed") - again), default=0)
        CredentialRun.objects.filter(pk=run).update(**counted)


def _note_failure(row: Credential, words: str, now: dt.datetime) -> bool:
    """Keep the error; try again later, or not until someone says so. A document that is there stays there."""
    gives_up = row.attempts >= config.issuing["max_attempts"]
    values: dict[str, Any] = {
        "claim": None,
        "error": words[:NOTE_LENGTH],
        "due_at": None if gives_up else next_try(now, row.attempts),
    }
    with transaction.atomic():
        was = row.status
        if was == CredentialStatus.GENERATING:
            values["status"] = CredentialStatus.ERROR
        if not _ours([row]).update(**values):
            return False
        if was == CredentialStatus.GENERATING and row.run_id is not None:
            CredentialRun.objects.filter(pk=row.run_id).update(failed=F("failed") + 1)
    log.log(logging.ERROR if gives_up else logging.INFO, "Credential %s: %s", row.pk, words)
    return True


def _clear_away(made: _Made) -> None:
    """
    Remove a file that no row will ever name: its credential was taken back or wiped while the document was made, or
    another worker was quicker. A row that does name it was finished by us, by a transaction that we took for broken.
    """
    try:
        if not Credential.objects.filter(pk=made.row.pk, document=made.document).exists():
            documents.remove(made.document)
    except INTERRUPTIONS:
        raise
    except Exception as error:
        log.error("The file %s belongs to nobody and cannot be removed: %s", made.document, said(error))


def _at(now: dt.datetime | None) -> dt.datetime:
    return now or timezone.now()
