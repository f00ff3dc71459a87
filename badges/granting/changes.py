"""
Awards and revocations of one transaction, in the order in which they were decided.

Events of one batch may give a learner a badge, take it away and give it again. Each of these is a credential or a
revocation, as if the events had come one by one.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from django.db import transaction

from badges.awarding.models import UserCredential
from badges.catalog.causes import CauseKind
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.awards import (
    HOLDING_COLUMNS,
    GrantedTemplate,
    Holding,
    NewAward,
    award,
    award_to,
    holdings_from,
    log_awards,
)
from badges.granting.ends import ActiveCredential, mark_ended
from badges.granting.messages import messages_of_award, messages_of_end, messages_of_revocation
from badges.granting.revocations import REVOCATION_COLUMNS, NewRevocation, log_revocations, mark_revoked
from badges.inserts import insert
from badges.issuers import registry
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage


@dataclass
class Granted:
    """The credentials that were awarded and those that were revoked. A credential may be in both."""

    awarded: list[UserCredential] = field(default_factory=list)
    revoked: list[UserCredential] = field(default_factory=list)


def award_and_revoke(changes: Sequence[NewAward | NewRevocation], *, now: dt.datetime) -> Granted:
    """
    Award and revoke in the order given, write the outbox messages, and return the credentials.

    Who may get a badge, and which revocations are left out, is as for ``award`` and ``revoke``. Must run in a
    transaction that has locked the rows of the learners. Four statements and two for each provider, however many
    changes there are; two more when credentials end by it. Without revocations it is ``award``.
    """
    awards = [change for change in changes if isinstance(change, NewAward)]
    if len(awards) == len(changes):
        return Granted(awarded=award(awards, now=now))
    work = _Work(changes, now)
    for change in changes:
        work.apply(change, now)
    work.write(now)
    return work.granted


class _Work:
    """The holdings of the learners while the changes are applied to them, in memory, and what follows from that."""

    def __init__(self, changes: Sequence[NewAward | NewRevocation], now: dt.datetime):
        self.granted = Granted()
        self._template_of: dict[uuid.UUID, GrantedTemplate] = {
            _key(change): change.template for change in changes if isinstance(change, NewAward)
        }
        keys = {_key(change) for change in changes}
        stored = list(UserCredential.objects.filter(learner_template_id__in=keys).order_by())
        columns = attrgetter(*HOLDING_COLUMNS)
        self._holdings: dict[uuid.UUID, Holding] = holdings_from(keys, map(columns, stored), now=now)
        self._credentials = {credential.pk: credential for credential in stored}
        self._in_order: list[tuple[UserCredential, bool]] = []
        self._ended: list[ActiveCredential] = []

    def apply(self, change: NewAward | NewRevocation, now: dt.datetime) -> None:
        """Award or revoke one badge in memory, if that is to be done."""
        holding = self._holdings[_key(change)]
        if isinstance(change, NewAward):
            awarded = award_to(holding, change, self._ended, now=now)
            if awarded is not None:
                self._credentials[awarded.pk] = awarded
                self.granted.awarded.append(awarded)
                self._in_order.append((awarded, True))
            return
        held = holding.active
        if held is None or held.is_over(now) or change.credential_id not in (None, held.id):
            return
        credential = self._credentials[held.id]
        mark_revoked(credential, change, now)
        holding.active = None
        holding.blocked |= change.block
        holding.lost |= change.cause.kind is CauseKind.EVENT
        self.granted.revoked.append(credential)
        self._in_order.append((credential, False))

    def write(self, now: dt.datetime) -> None:
        """Write the credentials, the rows of the providers and the outbox messages."""
        awarded, revoked = self.granted.awarded, self.granted.revoked
        new = {credential.pk for credential in awarded}
        stored = [credential for credential in revoked if credential.pk not in new]
        # Before the new rows, which need the place of the active one.
        mark_ended(self._ended, now=now)
        insert(sorted(stored, key=_place), unique="id", update=REVOCATION_COLUMNS)
        insert(sorted(awarded, key=_place))
        issuers_of = [(each, self._template_of[each.learner_template_id].issuers) for each in awarded]
        registry.prepare((credential, issuer) for credential, issuers in issuers_of for issuer in issuers)
        mailbox.post(list(self._messages(now)), now=now)
        slugs = [(each, self._template_of[each.learner_template_id].slug) for each in awarded]
        transaction.on_commit(lambda: log_awards(slugs))
        transaction.on_commit(lambda: log_revocations(revoked))

    def _messages(self, now: dt.datetime) -> Iterator[NewMessage]:
        for ended in self._ended:
            if ended.is_over(now):
                yield from messages_of_end(ended.learner_id, ended.id)
        revoked = [credential.pk for credential in self.granted.revoked]
        providers_of = registry.revocable(revoked) if revoked else {}
        for credential, is_award in self._in_order:
            providers: Iterable[str] = providers_of.get(credential.pk, ())
            if is_award:
                issuers = self._template_of[credential.learner_template_id].issuers
                yield from messages_of_award(credential, [provider for provider, *_ in issuers])
            else:
                yield from messages_of_revocation(credential, providers)


def _key(change: NewAward | NewRevocation) -> uuid.UUID:
    template_id = change.template.id if isinstance(change, NewAward) else change.template_id
    return learner_template_id(change.learner_id, template_id)


def _place(credential: UserCredential) -> tuple[uuid.UUID, uuid.UUID]:
    return credential.learner_template_id, credential.pk
