"""
What an issuer is: the verbs this house uses, in its own words.

A provider is a folder with the same furniture: ``models`` (its badges, one-to-one with our credentials), ``payloads``
(translation between their words and ours, pure), ``client`` (their API), ``issuer`` (our verbs), ``organizations`` (in
whose name, with which key). It is found by an entry point of the group ``badges.issuers``, whose name is the slug that
``TemplateIssuer.provider`` holds; the house knows nothing else about it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from badges.awarding.models import UserCredential


class Place(NamedTuple):
    """Where a template's badges are issued."""

    provider: str
    organization: str
    external_template: str


class Issued(NamedTuple):
    """
    What is known here of a credential's badge at a provider.

    ``state`` is the provider's word, or one of the issuer's own as long as the provider has not answered; ``label`` is
    that word for people.
    """

    provider: str
    state: str
    label: str
    external_id: str
    url: str
    issued_at: dt.datetime | None


class Issuer(ABC):
    """
    One provider that issues our credentials.

    Made without arguments, once per process; used by several threads.
    """

    slug: str
    # The keys of BADGES_CONFIG[slug] that this issuer reads, with their defaults; the system check knows them by this.
    settings: Mapping[str, Any] = {}

    @abstractmethod
    def prepare(self, targets: Sequence[tuple[UserCredential, Place]]) -> None:
        """
        Write the provider's row of each new credential: one statement, in the transaction of the award.

        No HTTP here, and nothing that can fail for one credential alone.
        """

    @abstractmethod
    def issue(self, credential_id: uuid.UUID) -> None:
        """
        Issue the credential at the provider, outside of any transaction; once, however often this is called.

        Called again after every outcome that was not a plain return, also after the process was killed in the middle.
        Raises Retryable or Permanent with a message for the operator.
        """

    def circuit(self, credential_id: uuid.UUID) -> str | None:
        """Return the name of what rests when it fails too often; None: no circuit breaker."""
        return self.slug

    def reencrypt(self) -> int:
        """Encrypt the provider's stored secrets with the newest key, in the caller's transaction; returns how many."""
        return 0

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges, for pages and the API: one statement, no HTTP."""
        return {}
