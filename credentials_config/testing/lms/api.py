"""The HTTP API of the stand-in: paths, answers and errors of the platform and of two of its plugins."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode

from badges.testing.standin import Failures, Refused, Reply, Request
from credentials_config.testing.lms.data import Call, Learner, LmsData
from credentials_config.testing.lms.grading import course_grade

CLIENT_ID, CLIENT_SECRET = "stand-in-client", "stand-in-secret"
TOKEN_SECONDS = 3600
AGGREGATED = ("chapter", "sequential", "vertical")
MAX_USERNAMES = 100
CREATED = "2024-05-06T07:08:09Z"
_NO_TOKEN = "Authentication credentials were not provided."  # noqa: S105

# The kinds of endpoints and their paths. Keys of old courses have slashes; those of blocks and pathways never do.
PATHS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (endpoint, re.compile(pattern))
    for endpoint, pattern in (
        ("token", "/oauth2/access_token"),
        ("enrollments", "/api/enrollment/v1/enrollments"),
        ("accounts", "/api/user/v1/accounts"),
        ("language", "/api/user/v1/preferences/([^/]+)/pref-lang"),
        ("course", "/api/courses/v1/courses/(.+)"),
        ("blocks", "/api/courses/v1/blocks/([^/]+)"),
        ("gradebook", "/api/grades/v1/gradebook/(.+)"),
        ("policy", "/api/grades/v1/policy/courses/(.+)"),
        ("completions", "/completion-aggregator/v1/course/(.+)"),
        ("pathway", "/api/learning_paths/v1/learning-paths/([^/]+)"),
        ("pathway_enrollments", "/api/learning_paths/v1/([^/]+)/enrollments"),
    )
)


def client_settings(url: str) -> dict[str, Any]:
    """Return the settings of a client for the LMS at this address, as ``CREDENTIALS_CONFIG["lms"]`` holds them."""
    return {"transport": "http", "url": url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


class Api:
    """Answers requests from the data, unless it is told to fail."""

    def __init__(self, data: LmsData, failures: Failures, base: Callable[[], str], *, page_size: int):
        self.calls: list[Call] = []
        self.page_size = page_size
        self._data = data
        self._failures = failures
        self._base = base
        self._lock = threading.Lock()
        self._tokens: dict[str, float] = {}

    @property
    def counts(self) -> dict[str, int]:
        """The number of calls by kind of endpoint."""
        with self._lock:
            return dict(sorted(Counter(call.endpoint for call in self.calls).items()))

    def expire_tokens(self) -> None:
        """Make all access tokens expire."""
        with self._lock:
            self._tokens.clear()

    def clear_calls(self) -> None:
        """Clear the record of calls."""
        with self._lock:
            self.calls.clear()

    def answer(self, request: Request) -> Reply:
        """Answer or fail, and record the call."""
        endpoint, key = _endpoint(request.path)
        failure = self._failures.take(endpoint)
        about: list[str] = []
        undone = failure is not None and not failure.carried_out
        reply = Reply(200) if undone else self._regular_answer(endpoint, key, request, about)
        if failure is not None:
            failure.apply_to(reply)
            if failure.next_page_url and reply.status == 200:
                reply.body = _linking_to(failure.next_page_url, reply.body)
        status = 0 if reply.drop else reply.status
        with self._lock:
            path = request.target.partition("?")[0]
            self.calls.append(Call(endpoint, request.method, path, dict(request.query), status, about))
        return reply

    def _regular_answer(self, endpoint: str, key: str, request: Request, about: list[str]) -> Reply:
        try:
            if request.refused:
                raise request.refused
            if endpoint == "token":
                return _json(200, self._new_token(request))
            if endpoint == "unknown":
                raise Refused(404, "Not found.")
            self._authorize(request)
            if request.method != "GET":
                raise Refused(405, f'Method "{request.method}" not allowed.')
            with self._data.lock:
                return _json(200, getattr(self, f"_{endpoint}")(key, request, about))
        except Refused as refused:
            return _json(refused.status, {"developer_message": refused.message, "error_code": "refused"})

    # Tokens

    def _new_token(self, request: Request) -> dict[str, Any]:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise Refused(401, "invalid_client")
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[token] = time.monotonic() + TOKEN_SECONDS
        kind = "JWT" if form.get("token_type", "").lower() == "jwt" else "Bearer"
        return {"access_token": token, "token_type": kind, "expires_in": TOKEN_SECONDS, "scope": "read write"}

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        with self._lock:
            if scheme not in ("JWT", "Bearer") or self._tokens.get(token, 0.0) < time.monotonic():
                raise Refused(401, _NO_TOKEN)

    # Enrolments and accounts

    def _enrollments(self, key: str, request: Request, about: list[str]) -> Any:
        course = request.query.get("course_id", "")
        names = _listed(request.query.get("username"))
        if len(names) > MAX_USERNAMES:
            raise Refused(400, f"Too many usernames in a single request - {len(names)}.")
        about += names
        rows = self._data.enrolments.get(course, {}) if course in self._data.courses else {}
        entries = [
            {"created": CREATED, "mode": "audit", "is_active": active, "user": name, "course_id": course}
            for name, active in (rows.items() if not names else [(one, rows[one]) for one in names if one in rows])
        ]
        return self._cursor_page(entries, request)

    def _accounts(self, key: str, request: Request, about: list[str]) -> Any:
        if "lms_user_id" in request.query:
            about.append(request.query["lms_user_id"])
            found = [self._data.by_id.get(_number(request.query["lms_user_id"]))]
        else:
            about += _listed(request.query.get("username"))
            found = [self._data.learners.get(name) for name in about]
        accounts = [_account(learner) for learner in found if learner]
        if not accounts:
            raise Refused(404, "")
        return accounts

    def _language(self, key: str, request: Request, about: list[str]) -> Any:
        about.append(key)
        learner = self._data.learners.get(key)
        if learner is None or not learner.language:
            raise Refused(404, "")
        return learner.language

    # Courses

    def _course(self, key: str, request: Request, about: list[str]) -> Any:
        course = self._known_course(key)
        return {
            "id": course.key,
            "course_id": course.key,
            "name": course.name,
            "start": course.start,
            "end": course.end,
            "pacing": "instructor",
            "mobile_available": False,
        }

    def _policy(self, key: str, request: Request, about: list[str]) -> Any:
        return [
            {name: entry.get(name) for name in ("assignment_type", "count", "dropped", "weight")}
            for entry in self._known_course(key).policy
        ]

    def _blocks(self, key: str, request: Request, about: list[str]) -> Any:
        inside = [one for one in self._data.subsections.values() if one.chapter == key]
        known = {one.key: one.name for one in self._data.subsections.values()} | self._data.blocks
        if key not in known and key not in self._data.completed:
            raise Refused(404, "No block with that key.")
        blocks = {key: _block(key, known.get(key, ""))}
        if request.query.get("depth", "0") != "0":
            blocks[key]["children"] = [one.key for one in inside]
            blocks.update({one.key: _block(one.key, one.name) for one in inside})
        return {"root": key, "blocks": blocks}

    # Grades and completions

    def _gradebook(self, key: str, request: Request, about: list[str]) -> Any:
        course = self._known_course(key)
        if "username" not in request.query:
            active = [self._data.learners[name] for name, is_on in self._data.enrolments[key].items() if is_on]
            about += [learner.username for learner in active]
            return self._cursor_page([self._grades(course, learner) for learner in active], request)
        name = request.query["username"]
        about.append(name)
        if name not in self._data.enrolments[key]:  # active or not, as in the platform
            raise Refused(404, "The user matching the requested username is not enrolled in this course")
        return self._grades(course, self._data.learners[name])

    def _grades(self, course: Any, learner: Learner) -> dict[str, Any]:
        sections: list[dict[str, Any]] = []
        shares: dict[str, list[float]] = {}
        for one in self._data.subsections.values():
            if one.course != course.key or not one.category:
                continue
            score = self._data.scores.get(one.key, {}).get(learner.username)
            earned, possible = score or (0.0, 0.0)
            share = earned / possible if possible else 0.0
            shares.setdefault(one.category, []).append(share)
            sections.append(
                {
                    "attempted": score is not None,
                    "category": one.category,
                    "label": one.name,
                    "module_id": one.key,
                    "percent": share,
                    "score_earned": earned,
                    "score_possible": possible,
                    "subsection_name": one.name,
                }
            )
        entry = {
            "course_id": course.key,
            "email": "",
            "user_id": learner.id,
            "username": learner.username,
            "full_name": learner.name,
            "percent": course_grade(course.policy, shares),
            "section_breakdown": sections,
        }
        return entry | self._data.garbled.get(course.key, {}).get(learner.username, {})

    def _completions(self, key: str, request: Request, about: list[str]) -> Any:
        self._known_course(key)
        fields = _listed(request.query.get("requested_fields"))
        if not set(fields) <= {*AGGREGATED, "username", "mean"}:
            raise Refused(400, "Invalid requested_fields.")
        ids = [_number(one) for one in _listed(request.query.get("user_ids"))]
        about += map(str, ids)
        rows = self._data.enrolments[key]
        asked = [self._data.by_id[one].username for one in ids if one in self._data.by_id] if ids else list(rows)
        names = [name for name in asked if rows.get(name)]
        page = self._numbered_page(names, request)
        return page | {"results": [self._completion(key, name, fields) for name in page["results"]]}

    def _completion(self, course: str, username: str, fields: Sequence[str]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "username": username,
            "course_key": course,
            "completion": self._earned(course, self._data.completed.get(course, {}).get(username, 0.0)),
        }
        prefix = f"block-v1:{course.removeprefix('course-v1:')}+type@"
        for field in set(fields) & set(AGGREGATED):
            entry[field] = [
                {"course_key": course, "block_key": block, "completion": self._earned(block, rows[username])}
                for block, rows in self._data.completed.items()
                if block.startswith(f"{prefix}{field}+") and username in rows
            ]
        return entry

    def _earned(self, key: str, percent: Any) -> dict[str, Any]:
        if key in self._data.emptied:  # the aggregator takes nothing of nothing for everything
            return {"earned": 0.0, "possible": 0.0, "percent": 1.0}
        earned = percent * 100 if isinstance(percent, int | float) else percent
        return {"earned": earned, "possible": 100.0, "percent": percent}

    # Pathways

    def _pathway(self, key: str, request: Request, about: list[str]) -> Any:
        path = self._known_path(key)
        steps = []
        for order, step in enumerate(path.steps, start=1):
            course = self._known_course(step)
            steps.append(
                {"order": order, "course_key": step, "course_dates": [course.start, course.end], "weight": 1.0}
            )
        return {"key": path.key, "display_name": path.name, "sequential": False, "steps": steps, "invite_only": True}

    def _pathway_enrollments(self, key: str, request: Request, about: list[str]) -> Any:
        self._known_path(key)
        about += _listed(request.query.get("username"))
        return [
            {
                "user": self._data.learners[name].id,
                "learning_path": 1,
                "is_active": True,
                "created": CREATED,
            }
            for name, active in self._data.enrolments[key].items()
            if active and name == request.query.get("username", name)
        ]

    def _known_course(self, key: str) -> Any:
        if key not in self._data.courses:
            raise Refused(404, f"No course found for course_id: {key}")
        return self._data.courses[key]

    def _known_path(self, key: str) -> Any:
        if key not in self._data.paths:
            raise Refused(404, "No LearningPath matches the given query.")
        return self._data.paths[key]

    # Pages

    def _cursor_page(self, entries: list[Any], request: Request) -> dict[str, Any]:
        start = _number(base64.urlsafe_b64decode(request.query.get("cursor", "") or b"MA==").decode(errors="replace"))
        end = start + self.page_size
        cursor = base64.urlsafe_b64encode(str(end).encode()).decode()
        following = self._link(request, cursor=cursor) if end < len(entries) else None
        return {"next": following, "previous": None, "results": entries[start:end]}

    def _numbered_page(self, entries: list[Any], request: Request) -> dict[str, Any]:
        size = min(_number(request.query.get("page_size", "")) or self.page_size, self.page_size)
        page = _number(request.query.get("page", "1")) or 1
        following = self._link(request, page=page + 1) if page * size < len(entries) else None
        pagination = {"next": following, "previous": None, "count": len(entries), "num_pages": -(-len(entries) // size)}
        return {"pagination": pagination, "results": entries[(page - 1) * size : page * size]}

    def _link(self, request: Request, **parameters: Any) -> str:
        return f"{self._base()}{request.target.partition('?')[0]}?{urlencode(request.query | parameters)}"


def _endpoint(path: str) -> tuple[str, str]:
    for endpoint, pattern in PATHS:
        if found := pattern.fullmatch(path.rstrip("/")):
            return endpoint, found[1] if found.groups() else ""
    return "unknown", ""


def _linking_to(next_page_url: str, page: str) -> str:
    body = json.loads(page)
    links = body.get("pagination", body) if isinstance(body, dict) else {}
    links["next"] = next_page_url
    return json.dumps(body)


def _json(status: int, body: Any) -> Reply:
    return Reply(status, json.dumps(body), {"Content-Type": "application/json"})


def _listed(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _account(learner: Learner) -> dict[str, Any]:
    return {
        "username": learner.username,
        "id": learner.id,
        "email": learner.email,
        "name": learner.name,
        "is_active": learner.is_active,
        "language_proficiencies": [],
        "account_privacy": "private",
    }


def _block(key: str, name: str) -> dict[str, Any]:
    type = key.partition("+type@")[2].partition("+")[0]
    return {"id": key, "block_id": key.rpartition("@")[2], "type": type, "display_name": name, "children": []}
