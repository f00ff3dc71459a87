"""
Documents in a storage: their names, the links to them, and how they are removed.

The name of a file is a keyed hash of the credential's id, the number of its document, and the number of the claim. So
no two workers write the same file, and the name of a file that a killed worker left is known. The name tells nothing
about the learner or the verification code, which is printed on paper. Where everybody who knows a name can read the
file, the name is the protection.

Files are removed by messages of the outbox channel ``credential-file``, once the transaction that replaces them is
committed.
"""

from __future__ import annotations

import uuid
from base64 import b32encode
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.signing import BadSignature, Signer
from django.utils.crypto import salted_hmac

from badges import api as badges
from badges.common.stopping import INTERRUPTIONS
from badges.exceptions import Permanent, Retryable
from credentials_config.conf import config
from credentials_config.contracts import Document
from credentials_config.issuing.errors import storable_message
from credentials_config.models import Credential

CHANNEL = "credential-file"

SIGNED, PUBLIC = "signed", "public"

VERIFY_PATH = "/credentials/verify/{code}"
DOCUMENT_PATH = "/credentials/document/{token}"

_SALT = "credentials_config.documents"


def storage() -> Storage:
    """Return the storage of documents: the one that ``documents.storage`` names in ``STORAGES``."""
    return storages[config.documents["storage"]]


def file_name(credential_id: uuid.UUID, number: int, extension: str, claim: int) -> str:
    """
    Return the name of a credential's document in the storage.

    ``number``: ``Credential.document_number`` of the document. ``claim``: ``Credential.claims`` of the worker. A slow
    worker whose lease has ended must neither overwrite nor remove what the next worker stored.
    """
    digest = salted_hmac(_SALT, f"{credential_id}/{number}/{claim}", algorithm="sha256").digest()
    name = b32encode(digest[:20]).decode().lower()
    return f"{config.documents['folder']}/{name[:2]}/{name}.{extension}"


def save(name: str, document: Document) -> str:
    """Store a document and return the name that the storage gave it."""
    content = ContentFile(document.content, name=name)
    content.content_type = document.content_type  # type: ignore[attr-defined]  # S3 storages read it
    return storage().save(name, content, max_length=500)


def remove(name: str) -> None:
    """Remove a file at once; one that is gone already is no error."""
    storage().delete(name)


def discard(files: Iterable[tuple[int, uuid.UUID, str]]) -> None:
    """
    Have files removed once the caller's transaction has committed.

    ``files``: id of the learner, id of the credential, name of the file. The name holds no personal data
    (``file_name``), so it may stand in a message.
    """
    messages = [(str(learner), {"credential": str(pk), "file": name}) for learner, pk, name in files if name]
    if messages:
        badges.enqueue_all(CHANNEL, messages)


def unfinished(
    credential: Credential, extension: str, *, before: int | None = None
) -> Iterator[tuple[int, uuid.UUID, str]]:
    """
    Yield, for ``discard``, the files that workers may have left which began on the next document.

    ``before``: only of the claims before this one.
    """
    number = credential.document_number + 1
    for claim in range(1, credential.claims + 1 if before is None else before):
        yield credential.learner_id, credential.pk, file_name(credential.pk, number, extension, claim)


def stored_files() -> Iterator[tuple[Storage, str]]:
    """
    Yield storage and name of every document, for ``badges_uninstall``. Not every name is a file.

    These are the documents of credentials, what workers may have left that began on one, and what is to be removed.
    """
    place = storage()
    for credential in Credential.objects.order_by("pk").iterator(chunk_size=1000):
        if credential.document:
            yield place, credential.document
        # The extension of a first document is that of the plugin's own generator.
        for _learner, _pk, name in unfinished(credential, credential.document.rpartition(".")[2] or "pdf"):
            yield place, name
    for payload in badges.undelivered(CHANNEL):
        yield place, str(payload["file"])


def remove_discarded(message: Any) -> None:
    """Deliver a message of the channel: remove its file, unless its credential has that file (again)."""
    payload = message.read()
    name = str(payload.get("file", ""))
    if not name or Credential.objects.filter(pk=payload.get("credential"), document=name).exists():
        return
    try:
        remove(name)
    except INTERRUPTIONS:
        raise
    except Exception as error:  # storages fail in ways that nobody can list
        raise Retryable(f"A document cannot be removed from the storage: {storable_message(error)}") from error


def verify_url(code: str) -> str:
    """Return the address of the public page that says whether a credential is valid."""
    return public_url() + VERIFY_PATH.format(code=code)


def public_url() -> str:
    """
    Return the public address of this host. It is printed on documents for years, so it is never guessed.

    Raises Permanent when it is not set.
    """
    url = str(config.public_url or "").rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise Permanent(
            "CREDENTIALS_CONFIG['public_url'] is not set: documents carry the address of the verification page. "
            "Set it to where the public reaches this host, such as 'https://credentials.example.org'."
        )
    return url


def link(name: str, code: str) -> str:
    """
    Return the link to a document, for its learner to keep.

    By the setting ``documents.links``. ``public``: the file's own address. ``signed``: a signed address of this host,
    which redirects to a short-lived address of the storage. It stops working when the credential is taken back.
    """
    if config.documents["links"] == PUBLIC:
        return absolute(storage().url(name))
    return public_url() + DOCUMENT_PATH.format(token=quote(_signer().sign(code)))


def code_of_token(token: str) -> str | None:
    """Return the verification code in the token of a signed link; None when the signature is wrong."""
    try:
        return _signer().unsign(token)
    except BadSignature:
        return None


def fetch_url(name: str) -> str | None:
    """
    Return a short-lived address of the file at the storage; None when the storage cannot make one.

    Object stores can (``storages.backends.s3``). A folder cannot; then the host sends the content of the file.
    """
    backend: Any = storage()
    if not getattr(backend, "querystring_auth", False):
        return None
    return str(backend.url(name, expire=int(config.documents["link_seconds"])))


def absolute(url: str) -> str:
    """Return an address with a host: a storage in a folder gives only a path."""
    return url if "://" in url else public_url() + "/" + url.lstrip("/")


def problems() -> list[str]:
    """Return what is wrong with the settings of documents, each with its remedy."""
    found = []
    if config.documents["links"] not in (SIGNED, PUBLIC):
        found.append("CREDENTIALS_CONFIG['documents']['links'] must be 'signed' or 'public'.")
    try:
        storage()
    except (ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
        found.append(
            f"CREDENTIALS_CONFIG['documents']['storage'] names {config.documents['storage']!r}, which cannot be used "
            f"({type(error).__name__}: {error}). Correct that entry of STORAGES."
        )
    return found


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=".")
