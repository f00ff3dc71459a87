"""
Each provider with its stand-in, behind one interface: what holds for all providers is tested once, for each of them.

Nothing of Django is imported on top: a conftest may read this file before the settings are chosen.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from badges.testing.accredible import AccredibleStandIn
from badges.testing.accredible.provider import is_over
from badges.testing.credly import CredlyStandIn

if TYPE_CHECKING:
    from badges.awarding.models import UserCredential
    from badges.catalog.models import BadgeTemplate
    from badges.issuers.base import Issuer


class TestedProvider(ABC):
    """
    A provider and its stand-in.

    ``organization`` is what templates name the account by. ``look_up`` and ``revocation`` are the kinds of endpoint
    that look badges up and revoke one. ``no_badge`` are answers to an issue call that describe no badge.
    """

    __test__ = False

    slug: str
    look_up: str
    revocation: str
    field_errors: tuple[str, ...]
    issued_status: int
    truncated: str
    standin: Any
    organization: str

    @property
    def issuer(self) -> Issuer:
        from badges.issuers import registry  # noqa: PLC0415

        return registry.get(self.slug)

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the provider's settings."""

    @abstractmethod
    def add_template(self, *, allows_duplicates: bool = False) -> str:
        """Make a template at the provider and return its id."""

    @abstractmethod
    def all_badges(self) -> list[str]:
        """Return the ids of all badges at the provider."""

    @abstractmethod
    def valid_badges(self) -> list[str]:
        """Return the ids of the badges that their earners hold."""

    @abstractmethod
    def row(self, credential: UserCredential) -> Any:
        """Return the provider's row of a credential."""

    @abstractmethod
    def external_id(self, row: Any) -> str:
        """Return the id of a row's badge at the provider, "" without one."""

    @abstractmethod
    def emails(self) -> list[str]:
        """Return the addresses of the badges at the provider."""

    @abstractmethod
    def ends(self) -> list[dt.date | None]:
        """Return the days on which the badges at the provider end."""

    def template(self, **given: Any) -> BadgeTemplate:
        """Save a template that is issued at the provider."""
        from tests.factories import make_template  # noqa: PLC0415

        issuer = {"provider": self.slug, "organization": self.organization, "template": self.add_template()}
        return make_template(issuers=[issuer], **given)

    def issues(self) -> int:
        """Return how often the provider was asked to issue a badge."""
        return self.standin.counts.get("issue", 0)


class TestedCredly(TestedProvider):
    """Credly."""

    slug, look_up, revocation, issued_status = "credly", "find_badges", "revoke", 201
    truncated = '{"data": {"id": "12'
    field_errors = (
        '{"data": {"message": "Validation failed", "errors": [{"attribute": "issued_at", "messages": ["is odd"]}]}}',
        '{"errors": {"issued_at": ["is odd"]}}',
        '{"errors": ["issued_at is odd"]}',
    )

    def __init__(self, standin: CredlyStandIn) -> None:
        self.standin = standin
        self.organization = standin.organization or ""

    def settings(self) -> dict[str, Any]:
        organizations = {self.organization: self.standin.token}
        return {"CREDLY_API_BASE_URL": self.standin.url, "ORGANIZATIONS": organizations, "timeout": 0.5}

    def add_template(self, *, allows_duplicates: bool = False) -> str:
        return str(self.standin.add_template(allows_duplicates=allows_duplicates).id)

    def all_badges(self) -> list[str]:
        return [badge.id for badge in self.standin.badges]

    def valid_badges(self) -> list[str]:
        return [badge.id for badge in self.standin.badges if badge.state not in ("revoked", "replaced")]

    def row(self, credential: UserCredential) -> Any:
        from badges.issuers.credly.models import CredlyBadge  # noqa: PLC0415

        return CredlyBadge.objects.get(pk=credential.pk)

    def external_id(self, row: Any) -> str:
        return str(row.external_uuid or "")

    def emails(self) -> list[str]:
        return [badge.recipient_email for badge in self.standin.badges]

    def ends(self) -> list[dt.date | None]:
        ends = [badge.expires_at for badge in self.standin.badges]
        return [dt.date.fromisoformat(end[:10]) if end else None for end in ends]


class TestedAccredible(TestedProvider):
    """Accredible."""

    slug, look_up, revocation, issued_status = "accredible", "search", "update", 200
    truncated = '{"credential": {"id": "12'
    organization = "academy"
    field_errors = (
        '{"errors": "issued_on is odd"}',
        '{"errors": {"issued_on": ["is odd"]}}',
        '{"errors": {"code": "credential_invalid", "details": [{"property": "issued_on", "message": "is odd"}]}}',
    )

    def __init__(self, standin: AccredibleStandIn) -> None:
        self.standin = standin

    def settings(self) -> dict[str, Any]:
        organizations = {self.organization: self.standin.key}
        return {"ACCREDIBLE_API_BASE_URL": self.standin.url, "ORGANIZATIONS": organizations, "timeout": 0.5}

    def add_template(self, *, allows_duplicates: bool = False) -> str:
        return str(self.standin.add_group(allows_duplicates=allows_duplicates).id)

    def all_badges(self) -> list[str]:
        return [str(credential.id) for credential in self.standin.credentials]

    def valid_badges(self) -> list[str]:
        return [str(credential.id) for credential in self.standin.credentials if not is_over(credential)]

    def row(self, credential: UserCredential) -> Any:
        from badges.issuers.accredible.models import AccredibleBadge  # noqa: PLC0415

        return AccredibleBadge.objects.get(pk=credential.pk)

    def external_id(self, row: Any) -> str:
        return str(row.external_id or "")

    def emails(self) -> list[str]:
        return [credential.recipient_email for credential in self.standin.credentials]

    def ends(self) -> list[dt.date | None]:
        ends = [credential.expired_on for credential in self.standin.credentials]
        return [dt.date.fromisoformat(end) if end else None for end in ends]


SLUGS = ["accredible", "credly"]


def tested_provider(slug: str, settings: Any) -> Iterator[TestedProvider]:
    """Start the stand-in of a provider, configured as an operator would; a fixture yields from it."""
    tested: TestedProvider
    with CredlyStandIn() if slug == "credly" else AccredibleStandIn() as standin:
        tested = TestedCredly(standin) if isinstance(standin, CredlyStandIn) else TestedAccredible(standin)
        settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, slug: tested.settings()}
        yield tested
