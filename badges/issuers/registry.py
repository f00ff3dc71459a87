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

from badges.awarding.models import UserCredential
from badges.common.entry_points import EntryPointLoader
from badges.exceptions import Permanent
from badges.issuers.base import Issued, Issuer, IssuerTarget
from badges.outbox.channels import HandlerResult
from badges.outbox.models import OutboxMessage
from badges.outbox.steps import Steps

log = logging.getLogger(__name__)

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


class ProviderChannel:
    """
    The outbox channel of a provider, which has its slug as the name: hands a message to the issuer.

    ``type`` of a message is ``issue`` or ``revoke``.
    """

    def __init__(self, slug: str):
        self.slug = slug

    def __call__(self, message: OutboxMessage) -> HandlerResult | None:
        credential_id = _read(message)
        if message.type == "issue":
            return get(self.slug).issue(credential_id)
        if message.type == "revoke":
            reasons = UserCredential.objects.filter(pk=credential_id).values_list("public_reason", flat=True)
            return get(self.slug).revoke(credential_id, reasons.first() or "")
        raise Permanent(f"A provider cannot {message.type[:50]!r}, only issue and revoke. Remove the row.")

    def steps(self, message: OutboxMessage) -> Steps | None:
        """Return the steps of a message if the issuer has some."""
        if message.type == "issue":
            return get(self.slug).issue_steps(_read(message))
        if message.type == "revoke":
            return get(self.slug).revoke_steps(_read(message))
        return None

    def circuits(self, messages: Sequence[OutboxMessage]) -> Sequence[Sequence[str]]:
        """
        Return the circuits of messages; none for one that cannot be delivered anyway.

        A revocation needs the account only, so it tells nothing about the template.
        """
        ids = [_credential_id(message) for message in messages]
        known = [each for each in ids if each]
        try:
            circuits = dict(zip(known, get(self.slug).circuits(known), strict=True))
        except Permanent:
            circuits = {}
        names = [circuits.get(each, ()) if each else () for each in ids]
        return [each[:1] if message.type == "revoke" else each for message, each in zip(messages, names, strict=True)]


def _credential_id(message: OutboxMessage) -> uuid.UUID | None:
    try:
        return _read(message)
    except Permanent:
        return None


def _read(message: OutboxMessage) -> uuid.UUID:
    try:
        return uuid.UUID(json.loads(message.payload)["credential"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Permanent(
            f"Outbox row {message.sequence}: the payload names no credential. It cannot be delivered; remove it."
        ) from None
