"""
The queue of documents: credentials whose document is due to be made.

A worker claims rows, and then finishes, fails or releases each of them. Only the worker that has the claim can change a
row; any other changes nothing. Finishing is one transaction for many rows: their state, the counts of
their runs, the mails to the learners, and the removal of files that nobody needs any more.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.utils import timezone

from badges import api as badges
from badges.common.claims import Claims
from badges.database import retry_transient
from credentials_config.conf import config
from credentials_config.contracts import JSON
from credentials_config.issuing import documents, mail
from credentials_config.issuing.errors import DATABASE_GIVE_UP_SECONDS, MESSAGE_LENGTH, next_attempt_at
from credentials_config.models import ACTIVE, Credential, CredentialConfiguration, CredentialRun, CredentialStatus

log = logging.getLogger(__name__)
T = TypeVar("T")

# The Celery task that makes documents.
TASK = "credentials_config.make"

claims = Claims(Credential, unfinished=Q(active_key=ACTIVE), counts=("attempts", "claims"))


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document that is in the storage, under ``name``, and not yet written on its row."""

    row: Credential
    name: str
    made_from: dict[str, JSON]


def notify_worker_on_commit() -> None:
    """Notify a worker that documents are due, when the transaction commits."""
    badges.notify_worker_on_commit(TASK)


def anything_due(*, now: dt.datetime | None = None) -> bool:
    """Return whether a document waits for a worker."""
    return _due(now or timezone.now(), None).exists()


def claim(
    limit: int, *, now: dt.datetime | None = None, configurations: Iterable[int] | None = None
) -> list[Credential]:
    """
    Claim up to ``limit`` due rows, longest due first; committed when this returns.

    Returns them by configuration. Empty: nothing is due, or other workers have it. Must not be called in a transaction.
    """
    now = now or timezone.now()
    due = _due(now, configurations).order_by("due_at")
    rows = claims.claim(due, limit=limit, now=now, lease=config.issuing["lease_seconds"])
    if rows:
        related = CredentialConfiguration.objects.select_related("credential_type")
        by_id = related.in_bulk({row.configuration_id for row in rows})
        for row in rows:
            row.configuration = by_id[row.configuration_id]
    return sorted(rows, key=lambda row: (row.configuration_id, row.pk))


def renew(rows: Collection[Credential], now: dt.datetime) -> None:
    """Let the lease of rows begin again."""
    _retry(lambda: claims.renew(rows, now=now, lease=config.issuing["lease_seconds"]))


def release(rows: Collection[Credential], now: dt.datetime) -> None:
    """Give back rows that were not begun. They are due at once, and lose no attempt."""
    _retry(lambda: claims.release(rows, due_at=now))


def release_interrupted(row: Credential, now: dt.datetime) -> None:
    """Give back a row that was interrupted. The attempt counts: the document may never fit in a worker's time."""
    _retry(lambda: claims.reschedule([row], due_at=now))


def fail(row: Credential, message: str, now: dt.datetime) -> bool:
    """
    Keep the error of a row, and let it be tried again later, or not before a person retries it.

    A document that the row has already stays. Returns False when another worker has the row.
    """
    return _retry(lambda: _fail(row, message, now))


def finish(stored: Sequence[StoredDocument]) -> set[uuid.UUID]:
    """
    Write on rows that their documents are there, and have their learners told by mail. All of one configuration.

    Files that are no longer needed are removed by messages of the outbox, so a worker that is killed leaves none.
    Returns the ids of the rows that were still claimed by this worker.
    """
    return _retry(lambda: _finish(stored))


def finish_without_document(row: Credential, give: Callable[[Credential], dict[str, JSON]]) -> bool:
    """
    Give a learner what is no document, and make the row available in the same transaction. No mail is sent.

    ``give`` returns what is stored as ``made_from``. Returns False, and gives nothing, when another worker has the row.
    Raises what ``give`` raises.
    """
    return _retry(lambda: _finish_without_document(row, give))


# --- private -----------------------------------------------------------------------------------------------------


def _retry(work: Callable[[], T]) -> T:
    return retry_transient(work, give_up_seconds=DATABASE_GIVE_UP_SECONDS)


def _due(now: dt.datetime, configurations: Iterable[int] | None) -> QuerySet[Credential]:
    due = Credential.objects.filter(due_at__lte=now)
    if configurations is not None:
        due = due.filter(configuration__in=list(configurations))
    postponed = list(CredentialConfiguration.objects.filter(problem_until__gt=now).values_list("pk", flat=True))
    return due.exclude(configuration__in=postponed) if postponed else due


def _fail(row: Credential, message: str, now: dt.datetime) -> bool:
    gives_up = row.attempts >= config.issuing["max_attempts"]
    was_generating = row.status == CredentialStatus.GENERATING
    changes: dict[str, Any] = {"error": message[:MESSAGE_LENGTH]}
    if was_generating:
        changes["status"] = CredentialStatus.ERROR
    with transaction.atomic():
        if gives_up:
            still_claimed = claims.finish([row], **changes)
        else:
            still_claimed = claims.reschedule([row], due_at=next_attempt_at(now, row.attempts), **changes)
        if not still_claimed:
            return False
        if was_generating and row.run_id is not None:
            CredentialRun.objects.filter(pk=row.run_id).update(failed=F("failed") + 1)
    log.log(logging.ERROR if gives_up else logging.INFO, "Credential %s: %s", row.pk, message)
    return True


def _finish(stored: Sequence[StoredDocument]) -> set[uuid.UUID]:
    with transaction.atomic():
        locked = claims.still_claimed([each.row for each in stored]).select_for_update().order_by("pk")
        claimed = set(locked.values_list("pk", flat=True))
        ours = [each for each in stored if each.row.pk in claimed]
        if ours:
            _write_available(ours)
            _count([each.row for each in ours])
            _discard_files(ours)
            mail.announce(
                (each.row.learner_id, each.row.pk, each.row.document_number + 1)
                for each in ours
                if each.row.reissue.get("mail", True)
            )
    return claimed


def _finish_without_document(row: Credential, give: Callable[[Credential], dict[str, JSON]]) -> bool:
    with transaction.atomic():
        if not list(claims.still_claimed([row]).select_for_update().values_list("pk")):
            return False
        names = _new_names(row)
        changes = {"made_from": give(row), "document": "", "reissue": {}, **names}
        claims.finish([row], status=CredentialStatus.AVAILABLE, claims=0, attempts=0, error="", **changes)
        _count([row])
        documents.discard([(row.learner_id, row.pk, row.document)])
    return True


def _new_names(row: Credential) -> dict[str, str]:
    """Return the names that a reissue brings."""
    return {key: row.reissue[key] for key in ("learner_name", "context_name") if key in row.reissue}


def _write_available(stored: Sequence[StoredDocument]) -> None:
    names = [When(pk=each.row.pk, then=Value(each.name)) for each in stored]
    claims.finish(
        [each.row for each in stored],
        status=CredentialStatus.AVAILABLE,
        document=Case(*names, default=F("document")),
        document_number=F("document_number") + 1,
        made_from=stored[0].made_from,
        claims=0,
        attempts=0,
        error="",
    )
    for each in stored:
        if each.row.reissue:
            Credential.objects.filter(pk=each.row.pk).update(reissue={}, **_new_names(each.row))


def _count(rows: Sequence[Credential]) -> None:
    """Count on their runs the documents that are there for the first time, and those of them that had failed before."""
    first = [row for row in rows if row.run_id and row.status != CredentialStatus.AVAILABLE]
    issued = Counter(row.run_id for row in first)
    recovered = Counter(row.run_id for row in first if row.status == CredentialStatus.ERROR)
    for run, number in sorted(issued.items()):
        counted: dict[str, Any] = {"issued": F("issued") + number}
        if again := recovered[run]:
            # Never below zero, which the database refuses: a wrong count must not keep a document from its learner.
            counted["failed"] = Case(When(failed__gte=again, then=F("failed") - again), default=0)
        CredentialRun.objects.filter(pk=run).update(**counted)


def _discard_files(stored: Sequence[StoredDocument]) -> None:
    """Have the replaced documents removed, and the files that killed workers may have left."""
    replaced = [each for each in stored if each.row.document and each.row.document != each.name]
    documents.discard((each.row.learner_id, each.row.pk, each.row.document) for each in replaced)
    documents.discard(
        unfinished
        for each in stored
        for unfinished in documents.unfinished(each.row, each.name.rpartition(".")[2], before=each.row.claims)
    )
