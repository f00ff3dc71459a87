"""What is public about a verification code: what the document shows, and the state of the credential today."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from credentials_config.issuing import codes, without_document
from credentials_config.models import Credential, CredentialStatus


class State(enum.StrEnum):
    """The public state of a credential."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """What anybody may know who has the code. ``name`` is blank when the learner's data was removed."""

    code: str
    state: State
    title: str
    name: str
    context_key: str
    context_name: str
    issued_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    reason: str


def find(typed: str, *, now: dt.datetime) -> VerificationResult | None:
    """
    Return the public state of the credential with this code; one statement at most, three for one without document.

    None when there is none, and when it was never given: its document is still being made, or failed.
    """
    code = codes.normalized(typed)
    if code is None:
        return None
    given = (CredentialStatus.AVAILABLE, CredentialStatus.INVALIDATED, CredentialStatus.EXPIRED)
    row = (
        Credential.objects.filter(verification_code=code, status__in=given)
        .select_related("configuration__credential_type")
        .first()
    )
    if row is None or not (row.document_number or without_document.was_given(row)):
        return None
    return _result(row, now)


def _result(row: Credential, now: dt.datetime) -> VerificationResult:
    state = _state(row, now)
    revoked = state is State.REVOKED
    return VerificationResult(
        code=row.verification_code,
        state=state,
        title=row.configuration.credential_type.name,
        name=row.learner_name,
        context_key=row.configuration.context_key,
        context_name=row.context_name,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        revoked_at=row.invalidated_at if revoked else None,
        reason=row.public_reason if revoked else "",
    )


def _state(row: Credential, now: dt.datetime) -> State:
    if row.status == CredentialStatus.INVALIDATED:
        return State.REVOKED
    if not without_document.is_held(row):
        return State.EXPIRED if without_document.is_over(row) else State.REVOKED
    # A credential expires at its time, and not when the sweep runs.
    over = row.expires_at is not None and row.expires_at <= now
    return State.EXPIRED if over or row.status == CredentialStatus.EXPIRED else State.VALID
