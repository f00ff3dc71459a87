"""
A server on loopback that fails when told to.

What a test, the demo or an operator may do to it stands in two tables, for both interfaces (Python and ``/_control``).
Verbs change something, observations tell what happened. Each has the record it gives (``None``: a plain value).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar, Protocol, Self

from badges.testing.standin.control_api import PREFIX, ControlApi
from badges.testing.standin.failures import ALL, Failure, Failures
from badges.testing.standin.messages import Reply, Request
from badges.testing.standin.server import HOST, Listener

# What every stand-in can be told to do wrong.
FAILURE_VERBS: dict[str, Any] = dict.fromkeys(
    ("refuse", "throttle", "break_down", "drop", "slow_down", "answer", "link_elsewhere", "recover")
)


class AnswersRequests(Protocol):
    """The part of a stand-in that answers the requests which the real service would answer."""

    def answer(self, request: Request) -> Reply:
        """Return what the service answers, or the failure that was asked for."""


class StandIn:
    """
    The socket, the failures and the controls of a stand-in: ``with … as standin: … standin.url``.

    A stand-in names its ``verbs`` and ``observations`` and its kind of ``failure``, and gives itself an ``_api``.
    """

    verbs: ClassVar[Mapping[str, Any]]
    observations: ClassVar[Mapping[str, Any]]
    failure: ClassVar[type[Failure]]
    # What it says when it is asked too often, and when it is broken.
    throttled: ClassVar[str]
    broken: ClassVar[str]

    _api: AnswersRequests

    def __init__(self, *, port: int = 0, **others: Any) -> None:
        super().__init__(**others)
        self._failures = Failures()
        self._listener = Listener(self._reply, port=port)
        self._control_api = ControlApi(self)
        self._reopening: threading.Timer | None = None

    @property
    def address(self) -> str:
        """Where it listens, without a path."""
        return f"http://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """What a client is configured with."""
        return self.address

    @property
    def control_url(self) -> str:
        """The base address of the controls."""
        return f"{self.address}{PREFIX}"

    @property
    def port(self) -> int:
        """The port; it stays the same when connections are refused for a while."""
        return self._listener.port

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

    # What goes wrong

    @property
    def failures(self) -> list[Failure]:
        """What would still go wrong."""
        return self._failures.waiting()

    def refuse(self, *, seconds: float | None = None) -> None:
        """Refuse connections, and cut the open ones, for some seconds or until ``recover()``."""
        self._stay_closed()
        self._listener.close()
        if seconds is not None:
            self._reopening = threading.Timer(seconds, self._reopen)
            self._reopening.daemon = True
            self._reopening.start()

    def throttle(
        self, *, retry_after: float | str | datetime | None = 1, on: str = ALL, times: int | None = None
    ) -> None:
        """Answer 429. ``retry_after``: seconds, a time (sent as HTTP date), a raw text, or ``None`` for no header."""
        if isinstance(retry_after, datetime):
            retry_after = format_datetime(retry_after.astimezone(UTC), usegmt=True)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._fail(on=on, times=times, status=429, headers=headers, body=self.throttled)

    def break_down(
        self, *, status: int = 503, on: str = ALL, times: int | None = None, carried_out: bool = False
    ) -> None:
        """Answer 5xx with a page of HTML. ``carried_out``: after having done what was asked."""
        headers = {"Content-Type": "text/html"}
        self._fail(on=on, times=times, status=status, headers=headers, body=self.broken, carried_out=carried_out)

    def drop(self, *, on: str = ALL, times: int | None = 1, carried_out: bool = False) -> None:
        """Cut the connection instead of answering. ``carried_out``: after having done what was asked."""
        self._fail(on=on, times=times, drop=True, carried_out=carried_out)

    def slow_down(self, seconds: float, *, on: str = ALL, times: int | None = None) -> None:
        """Do what was asked at once, but let the caller wait for the answer."""
        self._fail(on=on, times=times, delay=seconds, carried_out=True)

    def answer(
        self,
        *,
        status: int,
        body: str = "",
        headers: dict[str, str] | None = None,
        on: str = ALL,
        times: int | None = 1,
        carried_out: bool = False,
    ) -> None:
        """Answer with exactly this: an odd 422, a page of HTML, half a JSON document."""
        self._fail(on=on, times=times, status=status, body=body, headers=headers or {}, carried_out=carried_out)

    def link_elsewhere(self, url: str, *, on: str = ALL, times: int | None = 1) -> None:
        """Answer truly, but let the link to the next page of a list lead to this address."""
        self._fail(on=on, times=times, carried_out=True, next_page_url=url)

    def recover(self) -> None:
        """Let nothing go wrong any more."""
        self._stay_closed()
        self._failures.clear()
        self._listener.open()

    # Inside

    def _fail(self, **how: Any) -> None:
        self._failures.add(self.failure(**how))

    def _stay_closed(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()

    def _reopen(self) -> None:
        if not self._listener.stopping.is_set():
            self._listener.open()

    def _reply(self, request: Request) -> Reply:
        if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
            return self._control_api.answer(request)
        return self._api.answer(request)
