"""
Awards and revocations of one transaction, in the order in which they were decided.

Events of one batch may give a learner a badge, take it away and give it again. Each of these is a credential or a
revocation, as if the events had come one by one. One statement reads the credentials of a whole batch, one updates and
one inserts.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from badges.awarding.models import UserCredential
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting import awards, revocations
from badges.granting.awards import GrantedTemplate, NewAward, award
from badges.granting.messages import messages_of_award, messages_of_revocation
from badges.granting.revocations import NewRevocation
from badges.inserts import insert
from badges.issuers import registry
from badges.outbox import mailbox


@dataclass
class Granted:
    """The credentials that were awarded and those that were revoked. A credential may be in both."""

    awarded: list[UserCredential] = field(default_factory=list)
    revoked: list[UserCredential] = field(default_factory=list)


def award_and_revoke(changes: Sequence[NewAward | NewRevocation], *, now: dt.datetime) -> Granted:
    """
    Award and revoke in the order given, write the outbox messages, and return the credentials.

    Who may get a badge, and what a revocation leaves out, is as for ``award`` and ``revoke``. Must run in a transaction
    that has locked the rows of the learners. Five statements and two for each provider, however many changes there
    are; without revocations it is ``award``.
    """
    new_awards = [change for change in changes if isinstance(change, NewAward)]
    if len(new_awards) == len(changes):
        return Granted(awarded=award(new_awards, now=now))
    holdings = _holdings({_key(change) for change in changes})
    granted, in_order = Granted(), list[tuple[UserCredential, bool]]()
    template_of: dict[uuid.UUID, GrantedTemplate] = {}
    for change in changes:
        key = _key(change)
        holding = holdings[key]
        if isinstance(change, NewAward):
            if not awards.may_award(holding.summary, change):
                continue
            credential = awards.credential_of(change, now)
            template_of[key] = change.template
            granted.awarded.append(credential)
            in_order.append((credential, True))
            holding.add(credential)
        else:
            held = holding.active
            if held is None or change.credential_id not in (None, held.pk):
                continue
            revocations.mark_revoked(held, change, now)
            granted.revoked.append(held)
            in_order.append((held, False))
            holding.remove(held)
    _write(granted)
    mailbox.post(list(_messages(granted, in_order, template_of)), now=now)
    awarded = [(credential, template_of[credential.learner_template_id].slug) for credential in granted.awarded]
    transaction.on_commit(lambda: awards.log_awards(awarded))
    transaction.on_commit(lambda: revocations.log_revocations(granted.revoked))
    return granted


@dataclass
class _Holding:
    """What a learner has of one template while the changes are applied. ``active`` is the credential that is held."""

    active: UserCredential | None = None
    summary: awards.Holding = field(default_factory=awards.Holding)

    def add(self, credential: UserCredential) -> None:
        self.summary.note(credential.status, blocked=credential.blocked, revocation_kind=credential.revocation_kind)
        if self.summary.active:
            self.active = credential

    def remove(self, credential: UserCredential) -> None:
        self.active, self.summary.active = None, False
        self.add(credential)


def _key(change: NewAward | NewRevocation) -> uuid.UUID:
    template_id = change.template.id if isinstance(change, NewAward) else change.template_id
    return learner_template_id(change.learner_id, template_id)


def _holdings(keys: Iterable[uuid.UUID]) -> dict[uuid.UUID, _Holding]:
    found = {key: _Holding() for key in keys}
    for credential in UserCredential.objects.filter(learner_template_id__in=list(found)).order_by():
        found[credential.learner_template_id].add(credential)
    return found


def _write(granted: Granted) -> None:
    """Write credentials. Revoked ones first: they make room for those that are awarded again."""
    new = {credential.pk for credential in granted.awarded}
    changed = [credential for credential in granted.revoked if credential.pk not in new]
    insert(sorted(changed, key=_place), unique="id", update=revocations.REVOCATION_COLUMNS)
    insert(sorted(granted.awarded, key=_place))


def _place(credential: UserCredential) -> tuple[uuid.UUID, uuid.UUID]:
    return credential.learner_template_id, credential.pk


def _messages(
    granted: Granted,
    in_order: Sequence[tuple[UserCredential, bool]],
    template_of: dict[uuid.UUID, GrantedTemplate],
) -> Iterable[mailbox.NewMessage]:
    """Prepare the rows of the providers, and return the messages in the order of the changes."""
    issuers_of = [(each, template_of[each.learner_template_id].issuers) for each in granted.awarded]
    registry.prepare((credential, issuer) for credential, issuers in issuers_of for issuer in issuers)
    providers_of = registry.revocable([credential.pk for credential in granted.revoked])
    for credential, is_award in in_order:
        if is_award:
            providers = [provider for provider, *_ in template_of[credential.learner_template_id].issuers]
            yield from messages_of_award(credential, providers)
        else:
            yield from messages_of_revocation(credential, providers_of.get(credential.pk, ()))
