"""The files of results: where they are stored, and how they are removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from badges.exceptions import Retryable
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import OutboxMessage
from badges.runs.models import Run

CHANNEL = "run-result"


def storage() -> Any:
    """Return the storage of all results."""
    return Run._meta.get_field("result").storage


def folder(run: Run) -> str:
    """Return the folder for the result of the worker that has claimed a run. No other worker writes there."""
    return f"lms_badges/runs/{run.pk}/{run.claim}/"


def is_file(name: str | None) -> bool:
    """Return whether this is the name of a result, and not the folder that a worker notes before it computes one."""
    return bool(name) and not str(name).endswith("/")


def discard(files: Iterable[tuple[Any, str]]) -> None:
    """Have files removed, given as run id and name, when the transaction has committed; one statement."""
    mailbox.post(
        NewMessage(channel=CHANNEL, key=str(run_id), type=CHANNEL, payload={"run": str(run_id), "file": name})
        for run_id, name in files
    )


def remove(message: OutboxMessage) -> None:
    """Remove a file: the channel ``run-result``. A file that is gone is fine. Raises Retryable."""
    try:
        storage().delete(str(message.read()["file"]))
    except Exception as error:  # storages fail in ways that nobody can list
        raise Retryable(f"The storage did not remove the file ({type(error).__name__}).") from error
