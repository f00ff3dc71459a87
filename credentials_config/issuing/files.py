"""The outbox channel ``credential-file``: removes documents that nothing points at any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.core.files.storage import Storage

from badges import api as badges
from badges.exceptions import Retryable
from credentials_config.issuing import documents
from credentials_config.issuing.errors import INTERRUPTIONS, said
from credentials_config.models import Credential

CHANNEL = "credential-file"


def discard(gone: Iterable[tuple[int, UUID, str]]) -> None:
    """
    Have files removed once the transaction has committed: learner's and credential's id, and the name of the file.

    Names of files say nothing about anybody (``documents.file_name``), so they may stand in a message.
    """
    messages = [(str(learner), {"credential": str(pk), "file": name}) for learner, pk, name in gone if name]
    if messages:
        badges.enqueue_all(CHANNEL, messages)


def unfinished(credential: Credential, extension: str, *, before: int | None = None) -> Iterator[tuple[int, UUID, str]]:
    """Yield, for ``discard``, what those who began on the next document may have left (``before`` this claim)."""
    number = credential.document_number + 1
    for claim in range(1, credential.claims + 1 if before is None else before):
        yield credential.learner_id, credential.pk, documents.file_name(credential.pk, number, extension, claim)


def stored() -> Iterator[tuple[Storage, str]]:
    """
    Yield storage and name of every document: what credentials have, what may be left of unfinished ones, and what
    waits to be removed. Not every name is a file.
    """
    place = documents.storage()
    for credential in Credential.objects.order_by("pk").iterator(chunk_size=1000):
        if credential.document:
            yield place, credential.document
        # The first document is taken for one of our own generator's.
        for _learner, _pk, name in unfinished(credential, credential.document.rpartition(".")[2] or "pdf"):
            yield place, name
    for payload in badges.undelivered(CHANNEL):
        yield place, str(payload["file"])


def remove(message: Any) -> None:
    """Remove the file of a message, unless its credential has it (again)."""
    payload = message.read()
    name = str(payload.get("file", ""))
    if not name or Credential.objects.filter(pk=payload.get("credential"), document=name).exists():
        return
    try:
        documents.remove(name)
    except INTERRUPTIONS:
        raise
    except Exception as error:  # storages fail in their own ways
        raise Retryable(f"A document cannot be removed from the storage: {said(error)}") from error
