"""How what is written here differs from what a provider has, and what would repair it: pure functions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from badges.awarding.models import CredentialStatus
from badges.issuers.base import KnownBadge, ListedBadge
from badges.issuers.models import Difference


class Repair(Enum):
    """What is done about a difference."""

    NOTHING = "nothing"  # a person has to decide
    WRITE_STATE = "write state"
    REVOKE = "revoke"  # after the state was written
    ISSUE_ANEW = "issue anew"
    ISSUE = "issue"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference. ``here`` and ``there`` are states, or names of a template."""

    difference: Difference
    here: str
    there: str
    repair: Repair = Repair.NOTHING
    credential_id: uuid.UUID | None = None
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class HeldHere:
    """
    A credential that is held and has no badge at the provider by what is written here.

    ``state`` is that of the provider's row, blank without one. ``is_open``: a message to issue it waits or is a dead
    letter; then it needs no other one.
    """

    credential_id: uuid.UUID
    earner: str
    state: str
    is_open: bool


def of_known(
    known: Sequence[KnownBadge],
    listed: Mapping[str, ListedBadge],
    statuses: Mapping[uuid.UUID, str],
    state_here: Callable[[str, str], str],
    ended: Collection[str],
) -> Iterator[Finding]:
    """
    Yield the differences of badges that are at the provider by what is written here.

    ``listed`` are the provider's badges by their ids, ``statuses`` those of our credentials. ``state_here`` returns the
    state of a row after what the provider tells of it. ``ended`` are the states of rows whose badge was taken back or
    has ended: a person decides whether such a badge is issued anew.
    """
    for badge in known:
        there = listed.get(badge.external_id)
        status = statuses.get(badge.credential_id)
        ids = badge.credential_id, badge.external_id
        if there is None:
            if status == CredentialStatus.AWARDED:
                repair = Repair.NOTHING if badge.state in ended else Repair.ISSUE_ANEW
                yield Finding(Difference.MISSING_THERE, badge.state, "", repair, *ids)
        elif there.is_held and status == CredentialStatus.REVOKED:
            yield Finding(Difference.OTHER_STATE, "revoked", there.state, Repair.REVOKE, *ids)
        elif state_here(badge.state, there.state) != badge.state:
            yield Finding(Difference.OTHER_STATE, badge.state, there.state, Repair.WRITE_STATE, *ids)


def of_others(held: Sequence[HeldHere], known: Collection[str], listed: Mapping[str, ListedBadge]) -> Iterator[Finding]:
    """
    Yield the differences of all other credentials that are held, and of all other badges.

    ``known`` are the ids of the badges of ``of_known``. A badge is that of a credential if the provider knows the
    credential, or else the learner.
    """
    unknown = {id: badge for id, badge in listed.items() if badge.is_held and id not in known}
    by_credential = {badge.credential: id for id, badge in unknown.items() if badge.credential}
    by_earner = {badge.earner: id for id, badge in unknown.items() if badge.earner and not badge.credential}
    for one in held:
        found = by_credential.get(str(one.credential_id)) or by_earner.pop(one.earner, None)
        there = unknown.pop(found, None) if found else None
        repair = Repair.NOTHING if one.is_open else Repair.ISSUE
        if there is not None:
            yield Finding(Difference.MISSING_HERE, one.state, there.state, repair, one.credential_id, there.id)
        elif not one.is_open:
            yield Finding(Difference.MISSING_THERE, one.state, "", repair, one.credential_id)
    for id, badge in unknown.items():
        yield Finding(Difference.MISSING_HERE, "", badge.state, external_id=id)


def are_all_gone(known: Sequence[KnownBadge], listed: Mapping[str, ListedBadge], *, suspicious: int) -> bool:
    """Return whether the provider has none of so many badges that this is no accident, such as in another account."""
    return len(known) >= suspicious and not any(badge.external_id in listed for badge in known)
