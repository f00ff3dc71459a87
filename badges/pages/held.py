"""What a learner holds: the badges of this app, and what the sources of other apps list, newest first on one list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from rest_framework.request import Request

from badges.awarding.models import CredentialStatus, UserCredential, held
from badges.awarding.sharing import Sharing, is_public, sharing
from badges.common.holdings import Holding, HoldingSource, HoldingState, holding_sources
from badges.common.merged_pagination import MergedPagination, Source
from badges.pages.addresses import absolute, address_of, linkedin_address
from badges.pages.issuer import issuer_of

BADGE = "badge"


class Badges:
    """The badges of a learner."""

    def rows(self, learner_id: int, *, ended: bool, now: dt.datetime) -> Source:
        rows = UserCredential.objects.filter(learner=learner_id).select_related("template")
        return Source(BADGE, rows if ended else rows.filter(held(now)), "awarded_at")

    def represent(self, rows: Sequence[UserCredential], *, now: dt.datetime) -> Sequence[Holding]:
        return [_holding(row, now) for row in rows]


def _holding(row: UserCredential, now: dt.datetime) -> Holding:
    states = {
        CredentialStatus.AWARDED.value: HoldingState.HELD,
        CredentialStatus.REVOKED.value: HoldingState.REVOKED,
        CredentialStatus.EXPIRED.value: HoldingState.EXPIRED,
        CredentialStatus.REPLACED.value: HoldingState.REPLACED,
    }
    return Holding(
        kind=BADGE,
        id=row.pk,
        state=states[row.status_at(now)],
        title=row.template.name,
        description=row.template.description,
        image_url=row.template.shown_image_url,
        issued_at=row.awarded_at,
        valid_until=row.ended_at or row.valid_until,
        revoked_at=row.revoked_at,
        reason=row.public_reason,
        public_address=address_of(row.pk) if is_public(row) else "",
    )


@dataclass(frozen=True, slots=True)
class Card:
    """
    A holding, with what its learner can do with it.

    ``public_address`` has the name of the host; it is empty when nobody else can see the holding. ``can_switch`` says
    that the learner decides about that. ``why`` is the address of why the learner has it, or has it no more.
    """

    holding: Holding
    can_switch: bool
    public_address: str
    linkedin: str
    why: str


class HeldPagination(MergedPagination):
    """Pages of what a learner holds."""

    cursor_param = "held"
    page_size = 20

    def _size(self, request: Request) -> int:
        return self.page_size


def cards_of(
    learner_id: int, request: HttpRequest, pagination: HeldPagination, *, ended: bool, now: dt.datetime
) -> list[Card]:
    """
    Return the page of holdings that a request asks for; one statement for each source, and those of the sources.

    ``ended``: also what was revoked or has expired. ``pagination`` then knows the addresses of the pages beside it.
    Raises ValidationError of REST framework for a cursor of another list.
    """
    sources: dict[str, HoldingSource] = {**holding_sources(), BADGE: Badges()}
    lists = [source.rows(learner_id, ended=ended, now=now) for source in sources.values()]
    entries = pagination.paginate_queryset(lists, Request(request))
    found: dict[tuple[str, object], Holding] = {}
    for kind, source in sources.items():
        rows = [entry.row for entry in entries if entry.kind == kind]
        held = source.represent(rows, now=now) if rows else []
        found |= {(kind, row.pk): holding for row, holding in zip(rows, held, strict=True)}
    return [_card(found[entry.kind, entry.row.pk], entry.row, request) for entry in entries]


def _card(holding: Holding, row: Any, request: HttpRequest) -> Card:
    address = absolute(holding.public_address, request)
    can_share = bool(address) and holding.state is HoldingState.HELD
    return Card(
        holding,
        can_switch=holding.kind == BADGE and sharing() is Sharing.LEARNER,
        public_address=address,
        linkedin=linkedin_address(holding, address, organization=issuer_of(request).name) if can_share else "",
        why=reverse("lms_badges:learner-why", args=[row.template.slug]) if holding.kind == BADGE else "",
    )
