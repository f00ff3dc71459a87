"""The stand-in as a whole, in this process: ``with LmsStandIn() as lms: … lms.url``."""

from __future__ import annotations

import inspect
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Self

from badges.testing.credly.messages import Reply, Request
from badges.testing.credly.refusals import Refused
from badges.testing.credly.server import HOST, Listener
from credentials_config.testing.lms.api import CLIENT_ID, CLIENT_SECRET, Api
from credentials_config.testing.lms.failures import ALL, Failure, Failures
from credentials_config.testing.lms.world import Call, Course, Learner, Path, Subsection, World

CONTROL = "/_control"

# The names that both doors (Python and ``/_control``) know, and the record each gives (``None``: a plain value).
WITNESSES: dict[str, type | None] = {"calls": Call, "counts": None, "asked": None}
VERBS: dict[str, type | None] = {
    "add_course": Course,
    "change_course": Course,
    "add_subsection": Subsection,
    "add_path": Path,
    "add_learner": Learner,
    "change_learner": Learner,
    "enroll": None,
    "unenroll": None,
    "enroll_many": None,
    "score": None,
    "complete": None,
    "garble_grades": None,
    "garble_completion": None,
    "load": None,
    "forget_calls": None,
    "expire_tokens": None,
    "refuse": None,
    "throttle": None,
    "break_down": None,
    "drop": None,
    "slow_down": None,
    "answer": None,
    "link_elsewhere": None,
    "recover": None,
}


class LmsStandIn(World):
    """
    An LMS that listens on loopback, knows what it was told, and fails when told to.

    ``page_size`` is the most entries on a page of any list. ``settings`` is what ``CREDENTIALS_CONFIG["lms"]`` needs.
    """

    def __init__(self, *, port: int = 0, page_size: int = 100) -> None:
        super().__init__()
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self._failures = Failures()
        self._api = Api(self, self._failures, lambda: self.url, page_size=page_size)
        self._listener = Listener(self._reply, port=port)
        self._reopening: threading.Timer | None = None

    @property
    def url(self) -> str:
        """The address of the LMS."""
        return f"http://{HOST}:{self._listener.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """What a client is configured with, in ``CREDENTIALS_CONFIG["lms"]``."""
        return {"transport": "http", "url": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    # The witness

    @property
    def calls(self) -> list[Call]:
        """Every request, oldest first."""
        return list(self._api.calls)

    @property
    def counts(self) -> dict[str, int]:
        """How many calls each kind of endpoint got."""
        return self._api.counts

    @property
    def asked(self) -> dict[str, list[str]]:
        """About which learners each kind of endpoint was asked: usernames or ids as they were sent, sorted, once."""
        asked: dict[str, set[str]] = {}
        for call in self.calls:
            if call.about:
                asked.setdefault(call.endpoint, set()).update(call.about)
        return {endpoint: sorted(about) for endpoint, about in sorted(asked.items())}

    def forget_calls(self) -> None:
        """Start the witness anew."""
        self._api.forget_calls()

    # What goes wrong

    def expire_tokens(self) -> None:
        """Let every token that was handed out be too old."""
        self._api.expire_tokens()

    def refuse(self, *, seconds: float | None = None) -> None:
        """Refuse connections, and cut the open ones, for some seconds or until ``recover()``."""
        self._stay_closed()
        self._listener.close()
        if seconds is not None:
            self._reopening = threading.Timer(seconds, self._reopen)
            self._reopening.daemon = True
            self._reopening.start()

    def throttle(
        self, *, retry_after: int | float | str | datetime | None = 1, on: str = ALL, times: int | None = None
    ) -> None:
        """Answer 429. ``retry_after``: seconds, a time (sent as HTTP date), a raw text, or ``None`` for no header."""
        if isinstance(retry_after, datetime):
            retry_after = format_datetime(retry_after.astimezone(UTC), usegmt=True)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._failures.add(Failure(on=on, times=times, status=429, headers=headers, body="Request was throttled.\n"))

    def break_down(self, *, status: int = 503, on: str = ALL, times: int | None = None) -> None:
        """Answer 5xx with a page of HTML."""
        body = "<html><body><h1>Studio is down for maintenance.</h1></body></html>"
        self._failures.add(Failure(on=on, times=times, status=status, headers={"Content-Type": "text/html"}, body=body))

    def drop(self, *, on: str = ALL, times: int | None = 1) -> None:
        """Cut the connection instead of answering."""
        self._failures.add(Failure(on=on, times=times, drop=True))

    def slow_down(self, seconds: float, *, on: str = ALL, times: int | None = None) -> None:
        """Answer truly, but late."""
        self._failures.add(Failure(on=on, times=times, delay=seconds))

    def answer(
        self,
        *,
        status: int,
        body: str = "",
        headers: dict[str, str] | None = None,
        on: str = ALL,
        times: int | None = 1,
    ) -> None:
        """Answer with exactly this."""
        self._failures.add(Failure(on=on, times=times, status=status, body=body, headers=headers or {}))

    def link_elsewhere(self, url: str, *, on: str = ALL, times: int | None = 1) -> None:
        """Answer truly, but let the link to the next page of a list lead to this address."""
        self._failures.add(Failure(on=on, times=times, next_page_url=url))

    def recover(self) -> None:
        """Let nothing go wrong any more."""
        self._stay_closed()
        self._failures.clear()
        self._listener.open()

    # Life

    def start(self) -> Self:
        """Listen."""
        self._listener.open()
        return self

    def stop(self) -> None:
        """Close the port and end what waits."""
        self._listener.stopping.set()
        self._stay_closed()
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _stay_closed(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()

    def _reopen(self) -> None:
        if not self._listener.stopping.is_set():
            self._listener.open()

    def _reply(self, request: Request) -> Reply:
        if request.path.startswith(f"{CONTROL}/"):
            return self._controlled(request)
        return self._api.answer(request)

    def _controlled(self, request: Request) -> Reply:
        name = request.path.removeprefix(f"{CONTROL}/")
        try:
            if request.refused:
                raise request.refused
            if request.method == "GET" and name in WITNESSES:
                return _result(getattr(self, name))
            if request.method == "POST" and name in VERBS:
                return self._do(name, request.json())
            raise Refused(404, f"{request.method} {name}: unknown. Read {sorted(WITNESSES)}, post {sorted(VERBS)}.")
        except Refused as refused:
            return Reply(refused.status, {"message": refused.message}, {"Content-Type": "application/json"})

    def _do(self, name: str, arguments: dict[str, Any]) -> Reply:
        method = getattr(self, name)
        if name == "refuse" and not isinstance(arguments.get("seconds"), int | float):
            raise Refused(422, "refuse: say for how many seconds; nobody could reach the stand-in to open it again.")
        try:
            inspect.signature(method).bind(**arguments)
            if name == "refuse":
                return Reply(200, {"result": None}, afterwards=lambda: method(**arguments))
            return _result(method(**arguments))
        except (TypeError, ValueError) as problem:
            raise Refused(422, f"{name}: {problem}") from problem


def _result(value: Any) -> Reply:
    if isinstance(value, list):
        value = [one.to_json() for one in value]
    elif hasattr(value, "to_json"):
        value = value.to_json()
    return Reply(200, {"result": value}, {"Content-Type": "application/json"})
