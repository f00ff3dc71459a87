"""
A request that is sent twice with one ``Idempotency-Key`` is carried out once, and answered twice in the same way.

A key belongs to an account and to what is asked: the method and the path. Where nobody has to sign in, it belongs to
what is asked alone. The claim of a key is committed before the
work, so a second request sees that the first one runs. The answer is committed together with what the work has written,
so after a crash either both are there or none. The claim has a lease: the key of a request whose process was killed can
be used again when the lease has ended.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from badges.database import in_transaction
from badges.flows.models import IdempotentRequest
from badges.inserts import insert, new_row

KEEP_DAYS = 1
# Longer than the database is waited for, so a request that still runs has its lease.
LEASE = dt.timedelta(seconds=60)
GIVE_UP_SECONDS = 20

_SALT = "badges.flows.idempotency"


class _ClaimLostError(Exception):
    """The row has no longer our claim: it is answered, another request took over, or the row is gone."""


class KeyReusedError(Exception):
    """The key was used with another body within 24 hours."""


class StillRunningError(Exception):
    """A request with this key runs. ``seconds`` says when its lease ends."""

    def __init__(self, seconds: float):
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """
    A request with its key.

    ``account_id`` is None where nobody has to sign in. ``target`` is the method and the path, ``body`` the body in one
    canonical form.
    """

    account_id: Any
    key: str
    target: str
    body: str

    @property
    def digest(self) -> str:
        """The keyed hash of key and target."""
        return _hash(f"{self.target}\n{self.key}")

    @property
    def body_digest(self) -> str:
        """The keyed hash of the body."""
        return _hash(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: the HTTP status, and the body as JSON text. ``is_replayed``: it is that of an earlier request."""

    status: int
    body: str
    is_replayed: bool = False


def answer_once(request: KeyedRequest, work: Callable[[], Answer], *, now: dt.datetime) -> Answer:
    """
    Return what ``work`` returns, or the stored answer if a request with this key was answered within 24 hours.

    ``work`` runs in the transaction in which its answer is stored, and again after a transient error. A refusal is an
    answer, too, so ``work`` returns it. What it raises is raised here: nothing is stored then, and the key is free.

    Raises KeyReusedError, StillRunningError, and Retryable when the database did not answer for 20 seconds.
    """
    claim = uuid.uuid4()
    stored = in_transaction(lambda: _claim(request, claim, now), give_up_seconds=GIVE_UP_SECONDS)
    if stored is not None:
        return stored

    def work_and_store() -> Answer:
        answer = work()
        _store(request, claim, answer)
        return answer

    try:
        return in_transaction(work_and_store, give_up_seconds=GIVE_UP_SECONDS)
    except _ClaimLostError:
        # Our own answer may be there, when the connection was lost while it was committed.
        return _answer_of_another(request)
    except BaseException:
        with contextlib.suppress(DatabaseError):  # the lease ends by itself
            _rows(request).filter(claim=claim).delete()
        raise


def delete_expired(*, before: dt.datetime, limit: int) -> int:
    """Delete up to ``limit`` rows that began before a time; returns how many."""
    old = IdempotentRequest.objects.filter(created_at__lt=before).order_by("created_at")
    found = list(old.values_list("pk", flat=True)[:limit])
    return IdempotentRequest.objects.filter(pk__in=found).delete()[0] if found else 0


def delete_of(account_id: Any) -> int:
    """Delete the rows of an account; returns how many."""
    return IdempotentRequest.objects.filter(account=account_id).delete()[0]


def _claim(request: KeyedRequest, claim: uuid.UUID, now: dt.datetime) -> Answer | None:
    """Take the key for a new request, and return None; or return the answer that is stored with the key."""
    new = {"body_digest": request.body_digest, "claim": claim, "leased_until": now + LEASE, "created_at": now}
    anonymous = {"anonymous_digest": request.digest} if request.account_id is None else {}
    row = new_row(IdempotentRequest, account_id=request.account_id, digest=request.digest, **anonymous, **new)
    insert([row], unique="anonymous_digest" if anonymous else ("account", "digest"))
    row = _rows(request).select_for_update().get()
    if row.claim == claim:
        return None
    lease = row.leased_until - now if row.leased_until is not None else dt.timedelta()
    runs = lease > dt.timedelta()
    if runs or now - row.created_at < dt.timedelta(days=KEEP_DAYS):
        if row.body_digest != request.body_digest:
            raise KeyReusedError
        if row.status is not None and row.answer is not None:
            return Answer(row.status, row.answer, is_replayed=True)
        if runs:
            raise StillRunningError(lease.total_seconds())
        new["created_at"] = row.created_at
    _rows(request).update(status=None, answer=None, **new)
    return None


def _store(request: KeyedRequest, claim: uuid.UUID, answer: Answer) -> None:
    """Write the answer. Raises _ClaimLostError, so that what the work has written is rolled back."""
    answered = {"claim": None, "leased_until": None, "status": answer.status, "answer": answer.body}
    if not _rows(request).filter(claim=claim).update(**answered):
        raise _ClaimLostError


def _answer_of_another(request: KeyedRequest) -> Answer:
    row = _rows(request).filter(body_digest=request.body_digest).first()
    if row is None or row.status is None or row.answer is None:
        raise StillRunningError(LEASE.total_seconds())
    return Answer(row.status, row.answer, is_replayed=True)


def _rows(request: KeyedRequest) -> QuerySet[IdempotentRequest]:
    if request.account_id is None:
        return IdempotentRequest.objects.filter(anonymous_digest=request.digest)
    return IdempotentRequest.objects.filter(account=request.account_id, digest=request.digest)


def _hash(text: str) -> str:
    return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()
