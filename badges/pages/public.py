"""
The public page of a credential, without login, cookie or script: what was awarded, when, by whom, and its state today.

It is HTML, or JSON for clients that prefer ``application/json`` in their Accept header. A credential that is not
public, one that does not exist, and an address that cannot be one get the same answer.

The page of a credential that was replaced shows the state and the end of the newer one, if that is public, too.
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from badges.awarding.models import CredentialStatus, UserCredential
from badges.awarding.sharing import is_public, public_credentials
from badges.common.client_limits import seconds_to_wait
from badges.common.person_names import full_name_of
from badges.common.problem_details import MEDIA_TYPE
from badges.conf import config
from badges.pages.addresses import absolute, address_of
from badges.pages.issuer import issuer_of
from badges.pages.responses import unstored

TEMPLATE = "lms_badges/public_credential.html"
HTML, JSON = "text/html", "application/json"
SCOPE = "lms_badges:public"


class State(enum.StrEnum):
    """The public state of a credential."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PublicCredential:
    """What everybody may know. ``learner_name`` is empty where the settings or the account do not give one."""

    id: uuid.UUID
    state: State
    title: str
    description: str
    image_url: str
    learner_name: str
    awarded_at: dt.datetime
    valid_until: dt.datetime | None
    revoked_at: dt.datetime | None
    reason: str


@require_safe
def credential_page(request: HttpRequest, id: str) -> HttpResponse:
    """Show a public credential."""
    limit = config.pages["public_requests_per_minute"]
    wait = seconds_to_wait(request, scope=SCOPE, limit=None if limit is None else int(limit))
    if wait:
        response = _answer(request, {"wait": wait}, _problem(429, pgettext("badge", "Too many requests")), status=429)
        response["Retry-After"] = str(wait)
        return response
    found = find(id, now=timezone.now())
    if found is None:
        return _answer(
            request, {"missing": True}, _problem(404, pgettext("badge", "There is no such badge")), status=404
        )
    address = absolute(address_of(found.id), request)
    issuer = issuer_of(request)
    context = {"credential": found, "issuer": issuer, "address": address}
    data = {
        "id": address,
        "uuid": found.id,
        "status": found.state,
        "badge": {"name": found.title, "description": found.description, "image_url": found.image_url},
        "issuer": {"name": issuer.name, "url": issuer.url},
        "learner": {"name": found.learner_name},
        "awarded_at": found.awarded_at,
        "valid_until": found.valid_until,
        "revoked_at": found.revoked_at,
        "reason": found.reason,
    }
    return _answer(request, context, data)


def find(text: str, *, now: dt.datetime) -> PublicCredential | None:
    """Return the public credential that an address names, or None; two statements at most."""
    try:
        credential_id = uuid.UUID(text)
    except ValueError:
        return None
    if str(credential_id) != text:  # another way to write it; a credential has one address
        return None
    rows = public_credentials().select_related("template", "learner__user")
    row = rows.filter(pk=credential_id).first()
    return None if row is None else _public(row, now)


def _public(row: UserCredential, now: dt.datetime) -> PublicCredential:
    last = _last_renewal(row)
    state = _state(last, now)
    revoked = state is State.REVOKED
    return PublicCredential(
        id=row.pk,
        state=state,
        title=row.template.name,
        description=row.template.description,
        image_url=row.template.shown_image_url,
        learner_name=_name(row) if config.pages["show_name"] else "",
        awarded_at=row.awarded_at,
        valid_until=last.ended_at or last.valid_until,
        revoked_at=last.revoked_at if revoked else None,
        reason=last.public_reason if revoked else "",
    )


def _last_renewal(row: UserCredential) -> UserCredential:
    """
    Return the credential by which the learner went on holding a badge without a break, if it is public, else ``row``.

    No statement, except for a credential that was replaced: one.
    """
    if row.status != CredentialStatus.REPLACED:
        return row
    newer = UserCredential.objects.filter(learner_template_id=row.learner_template_id).exclude(replaces=None)
    successors = {each.replaces_id: each for each in newer.order_by("awarded_at", "id")}
    last = row
    while last.status == CredentialStatus.REPLACED and last.pk in successors:
        last = successors.pop(last.pk)
    return last if is_public(last) else row


def _state(row: UserCredential, now: dt.datetime) -> State:
    status = row.status_at(now)
    if status == CredentialStatus.REVOKED:
        return State.REVOKED
    return State.VALID if status == CredentialStatus.AWARDED else State.EXPIRED


def _name(row: UserCredential) -> str:
    user: Any = row.learner.user
    return full_name_of(user) if user else ""


def _problem(status: int, title: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status}


def _prefers_json(request: HttpRequest) -> bool:
    """Return whether a client prefers JSON; False for an Accept header that Django cannot read."""
    try:
        return request.get_preferred_type([HTML, JSON]) == JSON
    except (ValueError, LookupError):  # an unknown encoding of a parameter, or text that is not in its encoding
        return False


def _answer(request: HttpRequest, context: dict[str, Any], data: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Return HTML or JSON, as the client prefers; HTML where it accepts both alike, or neither."""
    if _prefers_json(request):
        media_type = JSON if status == 200 else MEDIA_TYPE
        response: HttpResponse = JsonResponse(data, status=status, content_type=media_type)
    else:
        response = render(request, TEMPLATE, context, status=status)
    return unstored(response, referrer="no-referrer")
