"""
Finding issuers by their slug, and the outbox channels of providers.

Plug-ins are loaded on first use. One that is broken or gone costs the badges of its own templates, which become dead
letters, and nothing else.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.utils import timezone

from badges.awarding.models import UserCredential
from badges.common.entry_points import EntryPointLoader
from badges.exceptions import Permanent
from badges.issuers.base import Issued, Issuer, IssuerTarget
from badges.issuers.facts import write_facts
from badges.outbox.channels import HandlerResult
from badges.outbox.models import OutboxMessage
from badges.outbox.steps import Steps

log = logging.getLogger(__name__)

# The type of outbox messages that ask a provider what a webhook is about.
FETCH = "fetch"

_issuers: EntryPointLoader[Issuer] = EntryPointLoader(
    "badges.issuers",
    noun="issuer",
    kind=Issuer,
    error=Permanent,
    remedy="correct the provider of the template",
    instantiate=True,
)


def slugs() -> list[str]:
    """Return the slugs of all installed issuers, loading none."""
    return _issuers.names()


def get(slug: str) -> Issuer:
    """Return the issuer with this slug. Raises Permanent, which names the remedy, when there is no working one."""
    return _issuers.get(slug)


def working() -> dict[str, Issuer]:
    """Return all issuers that can be loaded, by slug."""
    found: dict[str, Issuer] = {}
    for slug in slugs():
        try:
            found[slug] = get(slug)
        except Permanent:
            continue  # logged when it was loaded
    return found


def organizations() -> list[tuple[str, str]]:
    """Return the accounts of all providers that are known here (provider, id); one statement for each provider."""
    return [(slug, organization) for slug, issuer in working().items() for organization in issuer.organizations()]


def settings() -> dict[str, Mapping[str, Any]]:
    """Return the settings of all installed issuers with their defaults, by slug. A broken issuer has none."""
    known: dict[str, Mapping[str, Any]] = {}
    for slug in slugs():
        try:
            known[slug] = get(slug).settings
        except Permanent:
            known[slug] = {}
    return known


def clear_cache() -> None:
    """Look again for what is installed. For code that installs an issuer into a running process, such as a test."""
    _issuers.clear()


def prepare(targets: Iterable[tuple[UserCredential, tuple[str, str, str]]]) -> None:
    """
    Let each provider write its rows for new credentials: one statement per provider.

    Must run in the transaction of the award. A provider that is not there does not stop the award: its outbox rows
    become dead letters that name the remedy, and its ``issue`` makes up for the missing row.
    """
    by_provider: dict[str, list[tuple[UserCredential, IssuerTarget]]] = defaultdict(list)
    for credential, target in targets:
        by_provider[target[0]].append((credential, IssuerTarget(*target)))
    for slug, its_targets in sorted(by_provider.items()):
        try:
            issuer = get(slug)
        except Permanent as error:
            log.error("%d credentials cannot be prepared for issuing. %s", len(its_targets), error)
            continue
        issuer.prepare(its_targets)


def issued(credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[Issued]]:
    """Return what is known here of these credentials' badges at all providers: one statement per installed provider."""
    found: dict[uuid.UUID, list[Issued]] = defaultdict(list)
    if not credential_ids:
        return found
    for slug in slugs():
        try:
            issuer = get(slug)
        except Permanent:
            continue  # logged when it was loaded; what the others know is still true
        for credential_id, badge in issuer.issued(credential_ids).items():
            found[credential_id].append(badge)
    return found


def revocable(credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """
    Return at which providers each credential has to be revoked: those that have a row for it and can revoke.

    One statement for each installed provider.
    """
    return {
        credential_id: [badge.provider for badge in badges if get(badge.provider).can_revoke]
        for credential_id, badges in issued(credential_ids).items()
    }


def forgettable(credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """
    Return which providers can delete the badge of each credential: those that have a row for it and can forget.

    One statement for each installed provider.
    """
    return {
        credential_id: [badge.provider for badge in badges if get(badge.provider).can_forget]
        for credential_id, badges in issued(credential_ids).items()
    }


class ProviderChannel:
    """
    The outbox channel of a provider, which has its slug as the name: hands a message to the issuer.

    ``type`` of a message is ``issue``, ``revoke`` or ``forget``, which name a credential, or ``fetch``, which names an
    organization and what a webhook is about.
    """

    def __init__(self, slug: str):
        self.slug = slug

    def __call__(self, message: OutboxMessage) -> HandlerResult | None:
        if message.type == FETCH:
            return self._fetch(message)
        credential_id = _read(message)
        if message.type == "issue":
            return get(self.slug).issue(credential_id)
        if message.type == "revoke":
            reasons = UserCredential.objects.filter(pk=credential_id).values_list("public_reason", flat=True)
            return get(self.slug).revoke(credential_id, reasons.first() or "")
        if message.type == "forget":
            return get(self.slug).forget(credential_id)
        known = "issue, revoke, forget and fetch"
        raise Permanent(f"A provider cannot {message.type[:50]!r}, only {known}. Remove the row.")

    def _fetch(self, message: OutboxMessage) -> HandlerResult | None:
        """Ask the provider what a webhook is about, and write what it says."""
        issuer, (organization, about) = get(self.slug), _read_fetch(message)
        facts = issuer.fetch(organization, about)
        if not facts:
            log.info("Outbox row %s: %s tells nothing that is of use here.", message, self.slug)
        write_facts(issuer, organization, facts, now=timezone.now())
        return None

    def steps(self, message: OutboxMessage) -> Steps | None:
        """Return the steps of a message if the issuer has some."""
        if message.type == "issue":
            return get(self.slug).issue_steps(_read(message))
        if message.type == "revoke":
            return get(self.slug).revoke_steps(_read(message))
        return None

    def circuits(self, message: OutboxMessage) -> Sequence[str]:
        """Return the circuits of a message, as ``circuits_of``."""
        return self.circuits_of([message])[0]

    def circuits_of(self, messages: Sequence[OutboxMessage]) -> Sequence[Sequence[str]]:
        """
        Return the circuits of each message; none for one that cannot be delivered anyway.

        All but issuing needs the account only, so it tells nothing about the template.
        """
        ids = {message.pk: found for message in messages if (found := _credential_id(message))}
        try:
            issuer = get(self.slug)
        except Permanent:
            return [() for _message in messages]
        circuits = dict(zip(ids, issuer.circuits_of(list(ids.values())), strict=True)) if ids else {}
        return [_names(issuer, message, circuits.get(message.pk, ())) for message in messages]


def _names(issuer: Issuer, message: OutboxMessage, circuits: Sequence[str]) -> Sequence[str]:
    if message.type != FETCH:
        return circuits if message.type == "issue" else circuits[:1]
    try:
        return (issuer.account_circuit(_read_fetch(message)[0]),)
    except Permanent:
        return ()


def _credential_id(message: OutboxMessage) -> uuid.UUID | None:
    try:
        return None if message.type == FETCH else _read(message)
    except Permanent:
        return None


def _read(message: OutboxMessage) -> uuid.UUID:
    try:
        return uuid.UUID(json.loads(message.payload)["credential"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Permanent(
            f"Outbox row {message.sequence}: the payload names no credential. It cannot be delivered; remove it."
        ) from None


def _read_fetch(message: OutboxMessage) -> tuple[str, Mapping[str, str]]:
    try:
        payload = json.loads(message.payload)
        return str(payload["organization"]), {str(key): str(value) for key, value in payload["about"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Permanent(
            f"Outbox row {message.sequence}: the payload names no organization. It cannot be delivered; close it."
        ) from None
