"""
Accredible's side of HTTP: which address is which kind of endpoint, who may ask, and what is answered.

A call is written down before anything is done about it, and its status before the answer leaves: whoever has the
answer finds the records complete.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from badges.testing.accredible.provider import Provider
from badges.testing.accredible.records import Call, Credential, Group, Organization
from badges.testing.accredible.refusals import ErrorBodies
from badges.testing.accredible.wording import (
    PER_PAGE,
    credential_json,
    design_json,
    group_json,
    listed_json,
    organization_json,
    page_json,
)
from badges.testing.standin import Failures, Refused, Reply, Request

BODY_KEPT = 65_536
JSON = "application/json; charset=utf-8"

_ID = r"(?P<id>[0-9]{1,18})"
ROUTES = [
    ("POST", "issue", re.compile(r"/v1/credentials")),
    ("POST", "search", re.compile(r"/v1/credentials/search")),
    ("GET", "get_credential", re.compile(rf"/v1/credentials/{_ID}")),
    ("PUT", "update", re.compile(rf"/v1/credentials/{_ID}")),
    ("PATCH", "update", re.compile(rf"/v1/credentials/{_ID}")),
    ("DELETE", "delete", re.compile(rf"/v1/credentials/{_ID}")),
    ("GET", "groups", re.compile(r"/v1/issuer/all_groups")),
    ("GET", "group", re.compile(rf"/v1/issuer/groups/{_ID}")),
    ("GET", "design", re.compile(rf"/v1/designs/{_ID}")),
    ("GET", "organization", re.compile(r"/v1/issuer/details")),
]
UNKNOWN = "unknown"

# What credentials can be searched by: the name in the body, and the condition it stands for.
FILTERS = {
    "group_id": "group_id = ?",
    "recipient.email": "lower(recipient_email) = lower(?)",
    "recipient.id": "recipient_id = ?",
    "recipient.name": "recipient_name = ?",
    "start_updated_date": "updated_at >= ?",
}


class Api:
    """Answers requests from what the provider knows, unless a failure is waiting for them."""

    def __init__(self, provider: Provider, failures: Failures, errors: ErrorBodies) -> None:
        self._provider = provider
        self._store = provider.store
        self._failures = failures
        self._errors = errors

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
            if failure.next_page_url and isinstance(reply.body, dict) and "meta" in reply.body:
                reply.body["meta"]["next_page"] = failure.next_page_url
        if not reply.drop:
            self._store.answered(call.id, status=reply.status)
        return reply

    def _carry_out(self, request: Request, endpoint: str, parts: dict[str, str]) -> Reply:
        try:
            if request.refused:
                raise request.refused
            if endpoint == UNKNOWN:
                raise Refused(405 if _known_address(request) else 404, "Not found")
            owner = self._authenticated(request)
            if owner is None:
                return Reply(401, "HTTP Token: Access denied.\n", {"Content-Type": "text/plain; charset=utf-8"})
            inner: Callable[[Request, Organization, int], Any] = getattr(self, f"_{endpoint}")
            body = inner(request, owner, int(parts.get("id", 0)))
        except Refused as refused:
            return Reply(refused.status, self._errors.of(refused), {"Content-Type": JSON})
        return Reply(200, body, {"Content-Type": JSON})

    def _authenticated(self, request: Request) -> Organization | None:
        """Take ``Token token=KEY``, as documented, and ``Bearer KEY``, which older clients send."""
        header = request.headers.get("Authorization", "")
        found = re.fullmatch(r'(?:Token token="?|Bearer )([!-~]+?)"?', header)
        return self._provider.owner_of_key(found.group(1)) if found else None

    # The endpoints, each named as failures and calls name it

    def _issue(self, request: Request, organization: Organization, _id: int) -> Any:
        return self._described(self._provider.issue(organization, _json_body(request)))

    def _search(self, request: Request, organization: Organization, _id: int) -> Any:
        body = _json_body(request)
        where, values = _condition(body)
        where, values = f"organization_id = ?{where}", [organization.id, *values]
        page, size = _number(body.get("page"), 1), min(_number(body.get("page_size"), PER_PAGE), PER_PAGE)
        rows = self._store.all(Credential, where, values, limit=size, offset=(page - 1) * size)
        listed = [listed_json(row, self._group_of(row)) for row in rows]
        return page_json(
            "credentials", listed, page=page, size=size, total=self._store.count(Credential, where, values)
        )

    def _get_credential(self, request: Request, organization: Organization, credential_id: int) -> Any:
        return self._described(self._own(organization, credential_id))

    def _update(self, request: Request, organization: Organization, credential_id: int) -> Any:
        credential = self._own(organization, credential_id)
        return self._described(self._provider.change(credential, _json_body(request)))

    def _delete(self, request: Request, organization: Organization, credential_id: int) -> Any:
        credential = self._own(organization, credential_id)
        self._provider.delete_credential(credential.id)
        return self._described(credential)

    def _groups(self, request: Request, organization: Organization, _id: int) -> Any:
        page, size = _number(request.query.get("page"), 1), _number(request.query.get("page_size"), PER_PAGE)
        size = min(size, PER_PAGE)
        rows = self._store.all(Group, "organization_id = ?", [organization.id], limit=size, offset=(page - 1) * size)
        total = self._store.count(Group, "organization_id = ?", [organization.id])
        return page_json("groups", [group_json(row) for row in rows], page=page, size=size, total=total)

    def _group(self, request: Request, organization: Organization, group_id: int) -> Any:
        group = self._store.first(Group, "id = ? AND organization_id = ?", [group_id, organization.id])
        if group is None:
            raise Refused(404, "Group does not exist")
        return {"group": group_json(group)}

    def _design(self, request: Request, organization: Organization, design_id: int) -> Any:
        if self._store.count(Group, "id = ? AND organization_id = ?", [design_id - 1, organization.id]):
            return {"design": design_json(design_id)}
        raise Refused(404, "Doesn't exist")

    def _organization(self, request: Request, organization: Organization, _id: int) -> Any:
        return {"issuer": organization_json(organization)}

    # Inside

    def _described(self, credential: Credential) -> dict[str, Any]:
        return {"credential": credential_json(credential, self._group_of(credential))}

    def _group_of(self, credential: Credential) -> Group | None:
        return self._store.first(Group, "id = ?", [credential.group_id])

    def _own(self, organization: Organization, credential_id: int) -> Credential:
        found = self._store.first(Credential, "id = ? AND organization_id = ?", [credential_id, organization.id])
        if found is None:
            raise Refused(404, "Doesn't exist")
        return found


def _route(request: Request) -> tuple[str, dict[str, str]]:
    for method, endpoint, address in ROUTES:
        found = address.fullmatch(request.path) if method == request.method else None
        if found:
            return endpoint, found.groupdict()
    return UNKNOWN, {}


def _known_address(request: Request) -> bool:
    return any(address.fullmatch(request.path) for _, _, address in ROUTES)


def _condition(body: dict[str, Any]) -> tuple[str, list[Any]]:
    """Read the filters, which are named with a dot. An unknown one is ignored, as Accredible ignores it."""
    where, values = "", []
    for name, condition in FILTERS.items():
        value = body.get(name)
        if value in (None, ""):
            continue
        where += f" AND {condition}"
        values.append(_number(value, 0) if name == "group_id" else str(value))
    meta_data = body.get("meta_data")
    for name, value in (meta_data if isinstance(meta_data, dict) else {}).items():
        where += " AND instr(meta_data, ?) > 0"
        values.append(f"{json.dumps(name)}: {json.dumps(value)}")
    return where, values


def _number(value: Any, default: int) -> int:
    return int(value) if re.fullmatch(r"[1-9][0-9]{0,17}", str(value)) else default


def _json_body(request: Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise Refused(400, "Requests must have the content type application/json")
    return request.json()
