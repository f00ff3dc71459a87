"""
Credly's side of HTTP: which address is which kind of endpoint, who may ask, and what is answered.

A call is written down before anything is done about it, and its status before the answer leaves: whoever has the
answer finds the records complete.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote

from badges.testing.credly.provider import Provider
from badges.testing.credly.records import Badge, Call, Event, Organization, Record, Template
from badges.testing.credly.refusals import ErrorBodies
from badges.testing.credly.wording import (
    PER_PAGE,
    access_token_json,
    badge_json,
    event_json,
    organization_json,
    page_json,
    template_json,
)
from badges.testing.standin import Failures, Refused, Reply, Request

BODY_KEPT = 65_536
FILTERS_AT_MOST = 20
JSON = "application/json; charset=utf-8"

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ORGANIZATION = rf"/v1/organizations/(?P<organization>{_UUID})"
ROUTES = [
    ("POST", "token", re.compile(r"(?:/v1)?/oauth/token")),
    ("GET", "organization", re.compile(_ORGANIZATION)),
    ("POST", "issue", re.compile(rf"{_ORGANIZATION}/badges")),
    ("GET", "find_badges", re.compile(rf"{_ORGANIZATION}/badges")),
    ("GET", "get_badge", re.compile(rf"{_ORGANIZATION}/badges/(?P<id>{_UUID})")),
    ("PUT", "revoke", re.compile(rf"{_ORGANIZATION}/badges/(?P<id>{_UUID})/revoke")),
    ("GET", "templates", re.compile(rf"{_ORGANIZATION}/badge_templates")),
    ("GET", "template", re.compile(rf"{_ORGANIZATION}/badge_templates/(?P<id>{_UUID})")),
    ("GET", "events", re.compile(rf"{_ORGANIZATION}/events")),
    ("GET", "event", re.compile(rf"{_ORGANIZATION}/events/(?P<id>{_UUID})")),
]
UNKNOWN = "unknown"

# What a list can be filtered by: the name in the query, and the condition it stands for.
BADGE_FILTERS = {
    "issuer_earner_id": "issuer_earner_id = ?",
    "badge_template_id": "template_id = ?",
    "recipient_email": "lower(recipient_email) = lower(?)",
    "state": "state = ?",
}
TEMPLATE_FILTERS = {"state": "state = ?", "name": "instr(lower(name), lower(?)) > 0"}
EVENT_FILTERS = {"event_type": "event_type = ?", "occurred_at_min": "occurred_at >= ?"}


class Api:
    """Answers requests from what the provider knows, unless a failure is waiting for them."""

    def __init__(
        self, provider: Provider, failures: Failures, errors: ErrorBodies, base_url: Callable[[], str]
    ) -> None:
        self._provider = provider
        self._store = provider.store
        self._failures = failures
        self._errors = errors
        self._base_url = base_url

    def answer(self, request: Request) -> Reply:
        """Write the call down, then answer it or fail as asked."""
        endpoint, parts = _route(request)
        call = Call(
            id=str(uuid.uuid4()),
            method=request.method,
            path=request.target,
            endpoint=endpoint,
            at=datetime.now(UTC),
            body=request.body[:BODY_KEPT].decode(errors="replace"),
        )
        self._store.save(call)
        failure = self._failures.take(endpoint)
        undone = failure is not None and not failure.carried_out
        reply = Reply(200) if undone else self._carry_out(request, endpoint, parts)
        if failure is not None:
            failure.apply_to(reply)
            if failure.next_page_url and isinstance(reply.body, dict) and "metadata" in reply.body:
                reply.body["metadata"]["next_page_url"] = failure.next_page_url
        if not reply.drop:
            self._store.answered(call.id, status=reply.status)
        return reply

    def _carry_out(self, request: Request, endpoint: str, parts: dict[str, str]) -> Reply:
        try:
            if request.refused:
                raise request.refused
            if endpoint == UNKNOWN:
                raise Refused(405 if _known_address(request) else 404, "There is nothing here")
            status, body = self._endpoint(endpoint)(request, parts)
        except Refused as refused:
            return Reply(refused.status, self._errors.of(refused), {"Content-Type": JSON})
        return Reply(status, body, {"Content-Type": JSON})

    def _endpoint(self, name: str) -> Callable[[Request, dict[str, str]], tuple[int, Any]]:
        if name == "token":
            return self._token
        inner: Callable[[Request, Organization, str], tuple[int, Any]] = getattr(self, f"_{name}")

        def guarded(request: Request, parts: dict[str, str]) -> tuple[int, Any]:
            return inner(request, self._authenticated(request, parts["organization"]), parts.get("id", "").lower())

        return guarded

    # Who asks

    def _authenticated(self, request: Request, organization_id: str) -> Organization:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        owner = None
        if scheme.lower() == "basic":
            owner = self._provider.owner_of_token(_basic_user(value))
        elif scheme.lower() == "bearer":
            owner = self._provider.owner_of_access_token(value.strip())
        if owner is None:
            raise Refused(401, "The authorization token is missing or invalid")
        if owner.id != organization_id.lower():
            raise Refused(404, "Organization not found")
        return owner

    def _token(self, request: Request, parts: dict[str, str]) -> tuple[int, Any]:
        given = _token_parameters(request)
        if given.get("grant_type") != "client_credentials":
            raise Refused(400, "The grant type is not supported", [("grant_type", "must be client_credentials")])
        token = self._provider.issue_token(str(given.get("client_id")), str(given.get("client_secret")))
        return 200, access_token_json(token, now=datetime.now(UTC))

    # The endpoints, each named as failures and calls name it

    def _organization(self, request: Request, organization: Organization, _id: str) -> tuple[int, Any]:
        return 200, {"data": organization_json(organization), "metadata": {}}

    def _issue(self, request: Request, organization: Organization, _id: str) -> tuple[int, Any]:
        badge = self._provider.issue(organization, _json_body(request))
        return 201, self._badge_body(badge)

    def _find_badges(self, request: Request, organization: Organization, _id: str) -> tuple[int, Any]:
        return 200, self._page(
            request, organization, Badge, BADGE_FILTERS, lambda badge: self._badge_body(badge)["data"]
        )

    def _get_badge(self, request: Request, organization: Organization, badge_id: str) -> tuple[int, Any]:
        return 200, self._badge_body(self._own(Badge, organization, badge_id))

    def _revoke(self, request: Request, organization: Organization, badge_id: str) -> tuple[int, Any]:
        reason = _json_body(request).get("reason") or ""
        if not isinstance(reason, str):
            raise Refused(422, "Validation failed", [("reason", "must be text")])
        badge = self._own(Badge, organization, badge_id)
        return 200, self._badge_body(self._provider.revoke_badge(badge.id, reason=reason))

    def _templates(self, request: Request, organization: Organization, _id: str) -> tuple[int, Any]:
        return 200, self._page(request, organization, Template, TEMPLATE_FILTERS, template_json)

    def _template(self, request: Request, organization: Organization, template_id: str) -> tuple[int, Any]:
        return 200, {"data": template_json(self._own(Template, organization, template_id)), "metadata": {}}

    def _events(self, request: Request, organization: Organization, _id: str) -> tuple[int, Any]:
        return 200, self._page(request, organization, Event, EVENT_FILTERS, event_json)

    def _event(self, request: Request, organization: Organization, event_id: str) -> tuple[int, Any]:
        return 200, {"data": event_json(self._own(Event, organization, event_id)), "metadata": {}}

    # Inside

    def _badge_body(self, badge: Badge) -> dict[str, Any]:
        template = self._store.first(Template, "id = ?", [badge.template_id])
        return {"data": badge_json(badge, template), "metadata": {}}

    def _own(self, record: type[Any], organization: Organization, id: str) -> Any:
        found = self._store.first(record, "id = ? AND organization_id = ?", [id, organization.id])
        if found is None:
            raise Refused(404, f"{record.__name__} not found")
        return found

    def _page(
        self,
        request: Request,
        organization: Organization,
        record: type[Record],
        filters: dict[str, str],
        describe: Callable[[Any], dict[str, Any]],
    ) -> dict[str, Any]:
        where, values = _condition(request.query.get("filter", ""), filters)
        where, values = f"organization_id = ?{where}", [organization.id, *values]
        number = request.query.get("page", "1")
        page = max(1, int(number)) if re.fullmatch(r"[0-9]{1,9}", number) else 1
        rows = self._store.all(record, where, values, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        return page_json(
            [describe(row) for row in rows],
            page=page,
            total=self._store.count(record, where, values),
            address=self._address(request),
        )

    def _address(self, request: Request) -> str:
        filtered = request.query.get("filter")
        root = self._base_url().removesuffix("/v1")
        return f"{root}{request.path}" + (f"?filter={quote(filtered, safe='')}" if filtered else "")


def _route(request: Request) -> tuple[str, dict[str, str]]:
    for method, endpoint, address in ROUTES:
        found = address.fullmatch(request.path) if method == request.method else None
        if found:
            return endpoint, found.groupdict()
    return UNKNOWN, {}


def _known_address(request: Request) -> bool:
    return any(address.fullmatch(request.path) for _, _, address in ROUTES)


def _condition(text: str, filters: dict[str, str]) -> tuple[str, list[str]]:
    """Read ``key::value|key::value``. A filter nobody knows is refused: ignored, it would give everybody's badges."""
    where, values = "", []
    parts = [part for part in text.split("|") if part]
    if len(parts) > FILTERS_AT_MOST:
        raise Refused(422, "The filter is invalid", [("filter", f"has more than {FILTERS_AT_MOST} parts")])
    for part in parts:
        key, separator, value = part.partition("::")
        if not separator or key not in filters:
            raise Refused(422, "The filter is invalid", [("filter", f"cannot be {key!r}; known: {', '.join(filters)}")])
        choices = value.split(",", FILTERS_AT_MOST) if key == "state" else [value]
        where += " AND (" + " OR ".join([filters[key]] * len(choices)) + ")"
        values += choices
    return where, values


def _json_body(request: Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise Refused(400, "Requests must have the content type application/json")
    return request.json()


def _token_parameters(request: Request) -> dict[str, Any]:
    """Read the client's id and secret from a form, a JSON body or HTTP Basic."""
    if request.content_type == "application/json":
        given = request.json()
    else:
        form = parse_qs(request.body.decode(errors="replace"))
        given = {name: values[-1] for name, values in form.items()}
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        client_id, _, secret = _decoded(value).partition(":")
        given = {"client_id": client_id, "client_secret": secret, **given}
    return given


def _basic_user(value: str) -> str:
    """The token is the user and the password is empty; anything else is nobody."""
    user, colon, password = _decoded(value).partition(":")
    return user if colon and not password else ""


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
