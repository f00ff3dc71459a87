"""
Finding issuers by their slug, and the outbox's ``issue`` channel.

Plug-ins are loaded on first use. One that is broken or gone costs the badges of its own templates, which become dead
letters, and nothing else.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from badges.awarding.models import UserCredential
from badges.common.entry_points import EntryPointLoader
from badges.exceptions import Permanent
from badges.issuers.base import Issued, Issuer, IssuerTarget
from badges.outbox.models import OutboxMessage

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


def forget() -> None:
    """Look again for what is installed. For code that installs an issuer into a running process, such as a test."""
    _issuers.forget()


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


class IssueChannel:
    """The outbox channel ``issue``: hands a message to the issuer it names."""

    def __call__(self, message: OutboxMessage) -> None:
        slug, credential_id = _read(message)
        get(slug).issue(credential_id)

    def circuit(self, message: OutboxMessage) -> str | None:
        """Return the circuit of a message; None for one that cannot be delivered anyway."""
        try:
            slug, credential_id = _read(message)
            return get(slug).circuit(credential_id)
        except Permanent:
            return None


issue = IssueChannel()


def _read(message: OutboxMessage) -> tuple[str, uuid.UUID]:
    try:
        payload = json.loads(message.payload)
        return str(payload["provider"]), uuid.UUID(payload["credential"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Permanent(
            f"Outbox row {message.sequence}: the payload names no credential and provider. "
            "It cannot be delivered; remove it."
        ) from None
