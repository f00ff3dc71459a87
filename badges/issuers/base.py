"""
What an issuer is: the interface that every provider has.

A provider is a package with the same file names as the others: ``issuer`` (this interface), ``client`` (the provider's
API), ``payloads`` (translation between its terms and ours, pure), ``models`` (its badges, one-to-one with our
credentials), ``organizations`` (accounts there), ``webhook``, ``admin`` and ``conf``. It is found by an entry point of
the group ``badges.issuers``, whose name is the slug that ``TemplateIssuer.provider`` holds. Nothing else here knows a
provider.

What a provider tells of itself is read by ``webhook`` (its requests to us) and by the methods of the issuer that fetch:
templates page by page, events page by page, and what one webhook is about. They return *facts*, values without any
trust in what a request said. ``badges.issuers.facts`` writes them, the same way for all providers.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from badges.awarding.models import UserCredential
from badges.exceptions import BadgesError, Permanent
from badges.issuers.models import TemplateState
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


@dataclass(frozen=True, slots=True)
class TemplateFact:
    """
    A template as its provider describes it.

    ``id`` is the provider's, in its usual spelling. ``state`` is ``GONE`` for a template that the provider does not
    know any more; then only ``id`` and ``at`` say something. ``at`` is the provider's time of the last change; None:
    now. ``image_url`` and ``management_url`` (the page where staff manage it there) may be anything: only addresses
    with ``http`` or ``https`` are written.
    """

    id: str
    state: TemplateState
    at: dt.datetime | None = None
    name: str = ""
    description: str = ""
    image_url: str = ""
    management_url: str = ""


@dataclass(frozen=True, slots=True)
class BadgeFact:
    """
    A badge of ours or of anybody as its provider describes it.

    ``state`` is the provider's own word; the issuer maps it when it writes the row. ``at`` is the provider's time of
    that state. ``earner`` is our id of the learner and ``template`` the provider's template, where they are known.
    """

    id: str
    state: str
    at: dt.datetime
    earner: str | None = None
    template: str | None = None
    url: str = ""
    issued_at: dt.datetime | None = None


Fact = TemplateFact | BadgeFact


class TemplatePage(NamedTuple):
    """
    A page of the templates of an organization.

    ``cursor`` is what returns the next page, a JSON value; None on the last page. ``total`` is the number of all
    templates, where the provider tells it.
    """

    templates: Sequence[TemplateFact]
    cursor: Any = None
    total: int | None = None


class ListedBadge(NamedTuple):
    """
    A badge as its provider lists it.

    ``state`` is the provider's own word, ``is_held`` whether the earner has it there. ``earner`` and ``credential`` are
    our ids of learner and credential, where the provider knows them. ``state_at`` is the provider's time of the state;
    None: it names none.
    """

    id: str
    state: str
    is_held: bool
    earner: str | None = None
    credential: str | None = None
    state_at: dt.datetime | None = None


class BadgePage(NamedTuple):
    """A page of the badges of a template. ``cursor`` returns the next page, a JSON value; None on the last page."""

    badges: Sequence[ListedBadge]
    cursor: Any = None


class KnownBadge(NamedTuple):
    """A badge that is at the provider by what is written here. ``state`` is that of the provider's row."""

    credential_id: uuid.UUID
    external_id: str
    state: str


class EventPage(NamedTuple):
    """
    A page of the events of an organization: what they tell, and the provider's time of the newest one.

    ``cursor`` is what returns the next page, a JSON value; None on the last page.
    """

    facts: Sequence[Fact]
    newest: dt.datetime | None = None
    cursor: Any = None


class WebhookRequest(NamedTuple):
    """
    A request of a provider, before anything of it is believed.

    ``organization`` is the one in the address, whose secret was right; blank for an address without a secret. ``body``
    has the exact bytes, for signatures. Names of ``headers`` are in lower case.
    """

    organization: str
    body: bytes
    headers: Mapping[str, str]

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises WebhookRefused when it is none."""
        try:
            read = json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise WebhookRefused("the body is not JSON") from None
        if not isinstance(read, dict):
            raise WebhookRefused("the body is not a JSON object")
        return read


class Notification(NamedTuple):
    """
    What a webhook is about: just enough to ask the provider.

    ``id`` identifies it among the webhooks of its organization: a repeated one is a duplicate. ``about`` is handed to
    ``Issuer.fetch``. It holds ids only: it is stored, and shown to staff.
    """

    id: str
    about: Mapping[str, str]


class WebhookRefused(BadgesError):
    """A webhook cannot be used. The message says why; its sender gets it."""


class Webhook(ABC):
    """
    How a provider's requests are verified and read: no HTTP, no database but the provider's own settings.

    The secret in the address is checked before. Nothing that a request says is believed; it is only asked for.
    """

    max_body_bytes: int = 64 * 1024

    def verify(self, request: WebhookRequest) -> None:  # noqa: B027 -- the secret in the address may be enough
        """Raise WebhookRefused unless the request is signed as the settings demand; by default nothing is demanded."""

    @abstractmethod
    def read(self, request: WebhookRequest) -> Notification:
        """Return what a request is about. Raises WebhookRefused."""

    def organization_in(self, request: WebhookRequest) -> str | None:
        """
        Return the organization that the body names, for the address without a secret; it may be unknown here.

        None: this provider has no such address, or the settings do not switch it on. Raises WebhookRefused.
        """
        return None


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

    @property
    def can_forget(self) -> bool:
        """Whether ``forget`` is implemented. If not, no message about a retirement is written for this provider."""
        return False

    def forget(self, credential_id: uuid.UUID) -> HandlerResult | None:
        """
        Delete the credential's badge at the provider, because its owner was retired; outside of any transaction.

        The learner has no account any more. It is called after every earlier message about the badge was delivered or
        given up, at least once. Does nothing when there is no badge, and returns ``HandlerResult.NOTHING_TO_DO`` then.
        Raises Retryable or Permanent with a message for the operator.
        """
        raise Permanent(f"{self.slug} cannot delete badges. Delete the badge there, then remove this message.")

    def issue_steps(self, credential_id: uuid.UUID) -> Steps | None:
        """
        Return ``issue`` in steps (``badges.outbox.steps``), so that a worker issues several badges at the same time.

        None: ``issue`` is called, for one badge after the other.
        """
        return None

    def revoke_steps(self, credential_id: uuid.UUID) -> Steps | None:
        """Return ``revoke`` in steps, as ``issue_steps``. The reason is the ``public_reason`` of the credential."""
        return None

    def circuits(self, credential_id: uuid.UUID) -> Sequence[str]:
        """
        Return the names of the circuits that the credential's rows belong to.

        The first is that of the account at the provider: its outages, its limits and its credentials. The others are of
        what else many badges need, such as the template there. A ``SharedProblem`` that this issuer raises names the
        one that it is about.
        """
        return (self.slug,)

    def circuits_of(self, credential_ids: Sequence[uuid.UUID]) -> Sequence[Sequence[str]]:
        """Return ``circuits`` of several credentials. To be overridden by an issuer that needs statements for that."""
        return [self.circuits(credential_id) for credential_id in credential_ids]

    def reencrypt(self) -> int:
        """Encrypt the provider's stored secrets with the newest key, in the caller's transaction; returns how many."""
        return 0

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges, for pages and the API: one statement, no HTTP."""
        return {}

    def settings_problems(self) -> Sequence[tuple[str, str]]:
        """Return what is wrong with the provider's settings beside types and names: messages and hints; no HTTP."""
        return ()

    # --- what the provider tells -------------------------------------------------------------------------------------

    takes_webhooks_without_secret: bool = False
    """Whether the settings let anybody send webhooks."""

    webhook: Webhook | None = None
    """How its webhooks are read; None: it sends none that are understood here."""

    can_sync: bool = False
    """Whether ``template_page`` and ``template`` are implemented."""

    can_sweep: bool = False
    """Whether ``event_page`` is implemented."""

    def organizations(self) -> Sequence[str]:
        """Return the ids of the accounts that are known here, by the settings or the admin; one statement at most."""
        return ()

    def organization_id(self, text: str) -> str | None:
        """Return an organization's id in its usual spelling; None when it can be none. No statement."""
        return text

    def spellings(self, external_id: str) -> Sequence[str]:
        """Return how people may have written this id of an organization or a template."""
        return (external_id,)

    def account_circuit(self, organization: str) -> str:
        """Return the name of the circuit of an organization, the first one of ``circuits``."""
        return f"{self.slug}:{organization}"

    def check_organization(self, organization: str) -> str:
        """
        Ask the provider whether our credentials of an organization work, and return its name there. One HTTP call.

        Raises Retryable or Permanent with a message for the operator.
        """
        raise Permanent(f"{self.slug} cannot be asked about an organization.")

    def fetch(self, organization: str, about: Mapping[str, str]) -> Sequence[Fact]:
        """
        Ask the provider what a webhook is about, outside of any transaction, with our own credentials.

        ``about`` is that of ``Webhook.read``. Returns nothing when the provider knows of no such thing: then the
        request was forged, or what it was about is gone. Raises Retryable or Permanent.
        """
        raise Permanent(f"{self.slug} has no webhooks. Close this message.")

    def write_badges(self, organization: str, facts: Sequence[BadgeFact], *, now: dt.datetime) -> int:
        """
        Write the states of badges to the provider's rows, in the caller's transaction; return how many have changed.

        A fact that is older than what a row says changes nothing, so facts may come in any order and repeatedly. A
        badge that is not ours is passed over. The number of statements does not depend on the number of facts.
        """
        return 0

    def template_page(self, organization: str, cursor: Any = None) -> TemplatePage:
        """
        Ask for a page of all templates of an organization, in every state, outside of any transaction.

        ``cursor`` is that of the page before, None for the first one; it may come back in another process. Raises
        Retryable or Permanent, also for a link that leads to another host.
        """
        raise Permanent(f"{self.slug} has no list of templates that is understood here.")

    def template(self, organization: str, external_id: str) -> TemplateFact:
        """Ask for one template; its state is ``GONE`` when the provider does not know it. Raises as above."""
        raise Permanent(f"{self.slug} has no list of templates that is understood here.")

    def event_page(self, organization: str, since: dt.datetime, cursor: Any = None) -> EventPage:
        """
        Ask for a page of the events of an organization since a time, in any order, outside of any transaction.

        ``cursor`` and errors are as for ``template_page``.
        """
        raise Permanent(f"{self.slug} has no list of events that is understood here.")

    # --- reconciling -------------------------------------------------------------------------------------------------

    can_reconcile: bool = False
    """
    Whether the methods below are implemented.

    The rows of such a provider call it ``created`` when nobody has asked the provider, ``no_response`` when the outcome
    is not known, and ``error`` when the provider has refused.
    """

    ended_states: Collection[str] = ()
    """The states of rows whose badge was taken back or has ended. Such a badge is not issued anew."""

    def badge_page(self, organization: str, external_template: str, cursor: Any = None) -> BadgePage:
        """
        Ask for a page of all badges of a template, in every state, outside of any transaction.

        ``cursor`` and errors are as for ``template_page``. Nothing is listed of a template that is not there.
        """
        raise Permanent(f"{self.slug} has no list of badges that is understood here.")

    def badge(self, organization: str, external_id: str) -> ListedBadge | None:
        """Ask for one badge; None when the provider does not know it. Raises as above."""
        raise Permanent(f"{self.slug} has no list of badges that is understood here.")

    def known_badges(self, organization: str, external_template: str) -> Sequence[KnownBadge]:
        """Return the badges of a template that are there by what is written here; one statement."""
        return ()

    def templates_of_badges(self, organization: str) -> Sequence[str]:
        """Return the templates there of which badges are there by what is written here; one statement."""
        return ()

    def state_here(self, state: str, told: str) -> str:
        """Return the state of a row that has ``state``, once it says what the provider tells."""
        return told

    def reset(self, badges: Collection[KnownBadge]) -> int:
        """
        Write that badges are not at the provider, so that they can be issued anew; return how many.

        In the caller's transaction. They are looked up before they are asked for, as with ``look_up_first``. A row that
        has changed meanwhile is passed over.
        """
        return 0

    def look_up_first(self, credential_ids: Collection[uuid.UUID]) -> None:  # noqa: B027 -- it may do so always
        """
        Let badges that nobody asked the provider for be looked up there before they are asked for.

        In the caller's transaction. Called for badges that are issued later than their award: the provider may have
        them. An issuer that looks every badge up has nothing to do.
        """

    def write_held(  # noqa: B027 -- needed for reconciling only
        self, organization: str, badges: Collection[ListedBadge], *, at: dt.datetime
    ) -> None:
        """
        Write what the provider tells of badges that are held there, also to rows that call them revoked.

        In the caller's transaction. Called before a message to revoke them is written, which would do nothing for a
        row that calls its badge revoked. ``at`` is when the provider was asked.
        """
