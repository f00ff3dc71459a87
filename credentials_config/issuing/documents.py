"""
Documents in a storage, and the links to them.

A file's name is made of the credential's id, the number of its document and the number of the try by a keyed hash: no
two workers ever write the same file, what a killed one may have left can be named all the same, and the name tells
nobody anything, neither the learner nor the verification code, which is on paper for others to read. Where files are
reachable by everybody who knows the name, not knowing it is the protection.
"""

from __future__ import annotations

import uuid
from base64 import b32encode
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.signing import BadSignature, Signer
from django.utils.crypto import salted_hmac

from badges.exceptions import Permanent
from credentials_config.conf import config
from credentials_config.contracts import Document

SIGNED, PUBLIC = "signed", "public"

VERIFY_PATH = "/credentials/verify/{code}"
DOCUMENT_PATH = "/credentials/document/{token}"

_SALT = "credentials_config.documents"


def storage() -> Storage:
    """Return the storage of documents: the one that ``documents.storage`` names in ``STORAGES``."""
    return storages[config.documents["storage"]]


def file_name(credential_id: uuid.UUID, number: int, extension: str, claim: int) -> str:
    """
    Return what the file of a credential's document is called in the storage.

    ``claim`` tells apart those who made the same document (``Credential.claims``): a slow worker whose lease ended must
    neither overwrite nor remove what its successor stored.
    """
    digest = salted_hmac(_SALT, f"{credential_id}/{number}/{claim}", algorithm="sha256").digest()
    name = b32encode(digest[:20]).decode().lower()
    return f"{config.documents['folder']}/{name[:2]}/{name}.{extension}"


def save(name: str, document: Document) -> str:
    """Store a document and return the name that the storage gave it."""
    content = ContentFile(document.content, name=name)
    content.content_type = document.content_type  # type: ignore[attr-defined]  # what S3 storages look for
    return storage().save(name, content, max_length=500)


def remove(name: str) -> None:
    """Remove a file; one that is gone already is fine."""
    storage().delete(name)


def verify_url(code: str) -> str:
    """Return the address of the public page that says whether a credential is valid."""
    return public_url() + VERIFY_PATH.format(code=code)


def public_url() -> str:
    """Return where the public reaches this host; it is printed on documents for years, so nothing is guessed."""
    url = str(config.public_url or "").rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise Permanent(
            "CREDENTIALS_CONFIG['public_url'] is not set: documents carry the address of the verification page. "
            "Set it to where the public reaches this host, such as 'https://credentials.example.org'."
        )
    return url


def link(name: str, code: str) -> str:
    """
    Return the link to a document that a learner keeps.

    ``public``: the file's own address. ``signed``: an address of this host, which nobody can make up and which ends in
    a short-lived address of the storage; it stops working when the credential is taken back.
    """
    if config.documents["links"] == PUBLIC:
        return absolute(storage().url(name))
    return public_url() + DOCUMENT_PATH.format(token=quote(_signer().sign(code)))


def read_token(token: str) -> str | None:
    """Return the verification code that a signed link is about; None when we did not sign it."""
    try:
        return _signer().unsign(token)
    except BadSignature:
        return None


def fetch_url(name: str) -> str | None:
    """
    Return a short-lived address at which the storage hands the file out itself; None when it cannot make one.

    Object stores can (``storages.backends.s3``), a folder cannot: then the host sends the file's content.
    """
    place: Any = storage()
    if not getattr(place, "querystring_auth", False):
        return None
    return str(place.url(name, expire=int(config.documents["link_seconds"])))


def absolute(url: str) -> str:
    """Return an address with a host: storages in a folder give a path only."""
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
