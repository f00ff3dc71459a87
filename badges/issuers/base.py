"""
What an issuer is: the interface that every provider has.

A provider is a package with the same file names as the others: ``issuer`` (this interface), ``client`` (the provider's
API), ``payloads`` (translation between its terms and ours, pure), ``models`` (its badges, one-to-one with our
credentials), ``organizations`` (accounts there), ``admin`` and ``conf``. It is found by an entry point of the group
``badges.issuers``, whose name is the slug that ``TemplateIssuer.provider`` holds. Nothing else here knows a provider.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from badges.awarding.models import UserCredential
from badges.exceptions import Permanent
from badges.outbox.channels import HandlerResult
from badges.outbox.steps import Steps


class IssuerTarget(NamedTuple):
    """Where a template's badges are issued."""

    provider: str
    organization: str
    external_template: str


class Issued(NamedTuple):
    """
    What is known here of a credential's badge at a provider.

    ``state`` is the provider's, or one of the issuer's own as long as the provider has not answered. ``label`` is its
    name for people, translated.
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
    # The keys of LMS_BADGES_CONFIG[slug] that this issuer reads, with their defaults; the system check knows them by
    # this.
    settings: Mapping[str, Any] = {}

    @abstractmethod
    def prepare(self, targets: Sequence[tuple[UserCredential, IssuerTarget]]) -> None:
        """
        Write the provider's row of each new credential: one statement, in the transaction of the award.

        Must not call the provider, and must do nothing that can fail for one credential alone.
        """

    # Whether ``revoke`` is implemented. If not, no message about a revocation is written for this provider.
    can_revoke: bool = False

    @abstractmethod
    def issue(self, credential_id: uuid.UUID) -> HandlerResult | None:
        """
        Issue the credential at the provider, outside of any transaction; once, however often this is called.

        It is called again after every outcome that was not a plain return, also after the process was killed in the
        middle. Returns ``HandlerResult.NOTHING_TO_DO`` when the provider was not asked. Raises Retryable or Permanent
        with a message for the operator.
        """

    def revoke(self, credential_id: uuid.UUID, reason: str) -> HandlerResult | None:
        """
        Revoke the credential's badge at the provider, outside of any transaction.

        ``reason`` is public and may be empty. It is called after every message to issue this credential was delivered
        or given up, at least once. Does nothing when the badge was never issued or is revoked, and returns
        ``HandlerResult.NOTHING_TO_DO`` then. Raises Retryable or Permanent with a message for the operator.
        """
        raise Permanent(f"{self.slug} cannot revoke badges. Revoke the badge there, then remove this message.")

    def issue_steps(self, credential_id: uuid.UUID) -> Steps | None:
        """
        Return ``issue`` in steps (``badges.outbox.steps``), so that a worker issues several badges at the same time.

        None: ``issue`` is called, for one badge after the other.
        """
        return None

    def revoke_steps(self, credential_id: uuid.UUID) -> Steps | None:
        """Return ``revoke`` in steps, as ``issue_steps``. The reason is the ``public_reason`` of the credential."""
        return None

    def circuits(self, credential_ids: Sequence[uuid.UUID]) -> Sequence[Sequence[str]]:
        """
        Return the names of the circuits that the rows of each credential belong to.

        The first is that of the account at the provider: its outages, its limits and its credentials. The others are of
        what else many badges need, such as the template there. A ``SharedProblem`` that this issuer raises names the
        one that it is about.
        """
        return [(self.slug,) for _id in credential_ids]

    def reencrypt(self) -> int:
        """Encrypt the provider's stored secrets with the newest key, in the caller's transaction; returns how many."""
        return 0

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges, for pages and the API: one statement, no HTTP."""
        return {}
