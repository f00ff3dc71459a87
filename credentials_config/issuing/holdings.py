"""The certificates that a learner holds, for lists of what learners hold: the learner's own page, and REST."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from django.db.models import Q, QuerySet

from badges.common.holdings import Holding, HoldingState
from badges.common.merged_pagination import Source
from badges.exceptions import Permanent
from credentials_config.issuing import documents
from credentials_config.models import Credential, CredentialStatus

CERTIFICATE = "certificate"

_GIVEN = (CredentialStatus.AVAILABLE, CredentialStatus.EXPIRED, CredentialStatus.INVALIDATED)


class Certificates:
    """The certificates of a learner, as ``badges.common.holdings`` asks for them."""

    def rows(self, learner_id: int, *, ended: bool, now: dt.datetime) -> Source:
        rows = Credential.objects.filter(learner=learner_id).select_related("configuration__credential_type")
        return source_of(rows, ended=ended, now=now)

    def represent(self, rows: Sequence[Credential], *, now: dt.datetime) -> Sequence[Holding]:
        return [_holding(row, now) for row in rows]


def source_of(rows: QuerySet[Credential], *, ended: bool, now: dt.datetime) -> Source:
    """Return those of the rows that were given to their learner; ``ended``: also what is not valid any more."""
    rows = rows.filter(document_number__gt=0)
    if ended:
        rows = rows.filter(status__in=_GIVEN)
    else:
        rows = rows.filter(Q(expires_at=None) | Q(expires_at__gt=now), status=CredentialStatus.AVAILABLE)
    return Source(CERTIFICATE, rows, "issued_at")


def state_of(row: Credential, now: dt.datetime) -> CredentialStatus:
    """Return the status of a given credential. It expires at its time, and not when the sweep runs."""
    status = CredentialStatus(row.status)
    if status == CredentialStatus.AVAILABLE and row.expires_at and row.expires_at <= now:
        return CredentialStatus.EXPIRED
    return status


def address(make: Callable[[], str]) -> str:
    """Return an address, or blank while the host's public address is not set: the rest of the data is still right."""
    try:
        return make()
    except Permanent:
        return ""


def _holding(row: Credential, now: dt.datetime) -> Holding:
    states = {CredentialStatus.INVALIDATED: HoldingState.REVOKED, CredentialStatus.EXPIRED: HoldingState.EXPIRED}
    state = states.get(state_of(row, now), HoldingState.HELD)
    has_document = bool(row.document) and state is not HoldingState.REVOKED
    return Holding(
        kind=CERTIFICATE,
        id=row.pk,
        state=state,
        title=row.configuration.credential_type.name,
        description=row.context_name,
        issued_at=row.issued_at,
        valid_until=row.expires_at,
        revoked_at=row.invalidated_at if state is HoldingState.REVOKED else None,
        reason=row.public_reason if state is HoldingState.REVOKED else "",
        public_address=address(lambda: documents.verify_url(row.verification_code)),
        document_address=address(lambda: documents.link(row.document, row.verification_code)) if has_document else "",
    )
