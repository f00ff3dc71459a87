"""
What a test, the demo or an operator may do to the stand-in, in one place for both doors: Python and ``/_control``.

Verbs change something; witnesses tell what happened. ``/_control/<verb>`` takes the arguments as a JSON object by POST,
``/_control/<witness>`` is read by GET; both answer with what the method returns.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from email.utils import format_datetime

from badges.testing.credly.failures import ALL, Failure, Failures
from badges.testing.credly.messages import Reply, Request
from badges.testing.credly.provider import Provider
from badges.testing.credly.records import Badge, Call, Delivery, Event, Organization, Template
from badges.testing.credly.server import Listener
from badges.testing.credly.store import Store
from badges.testing.credly.webhooks import Webhooks

# The names that both doors know, and the record each gives (``None``: a plain value).
WITNESSES: dict[str, type | None] = {
    "organizations": Organization,
    "templates": Template,
    "badges": Badge,
    "events": Event,
    "calls": Call,
    "counts": None,
    "deliveries": Delivery,
    "failures": Failure,
}
VERBS: dict[str, type | None] = {
    "add_organization": Organization,
    "expire_access_tokens": None,
    "add_template": Template,
    "change_template": Template,
    "archive_template": Template,
    "delete_template": None,
    "accept_badge": Badge,
    "reject_badge": Badge,
    "revoke_badge": Badge,
    "replace_badge": Badge,
    "delete_badge": None,
    "set_badge_privacy": Badge,
    "set_webhook": None,
    "send_webhooks_again": None,
    "wait_for_webhooks": None,
    "refuse": None,
    "throttle": None,
    "break_down": None,
    "drop": None,
    "slow_down": None,
    "answer": None,
    "link_elsewhere": None,
    "recover": None,
}


class Controls(Provider):
    """What people do at Credly (inherited), what goes wrong there, and the witness."""

    def __init__(self, store: Store, *, port: int = 0, webhook_url: str | None = None, **habits: bool) -> None:
        super().__init__(store, **habits)
        self._failures = Failures()
        self._webhooks = Webhooks(store, url=webhook_url)
        self._listener = Listener(self._reply, port=port)
        self._reopening: threading.Timer | None = None

    def heard(self, event: Event) -> None:
        """Hand what happened to the webhooks."""
        self._webhooks.heard(event)

    # Witnesses

    @property
    def organizations(self) -> list[Organization]:
        """The accounts, with their keys."""
        return self.store.all(Organization)

    @property
    def badges(self) -> list[Badge]:
        """Every badge there is, oldest first."""
        return self.store.all(Badge)

    @property
    def calls(self) -> list[Call]:
        """Every request that reached the provider's endpoints, oldest first."""
        return self.store.all(Call)

    @property
    def counts(self) -> dict[str, int]:
        """How many calls each kind of endpoint got."""
        return self.store.calls_by_endpoint()

    @property
    def events(self) -> list[Event]:
        """What happened to badges and templates, oldest first."""
        return self.store.all(Event)

    @property
    def templates(self) -> list[Template]:
        """Every template, of every organization."""
        return self.store.all(Template)

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to post a webhook."""
        return self.store.all(Delivery)

    @property
    def failures(self) -> list[Failure]:
        """What would still go wrong."""
        return self._failures.waiting()

    # Webhooks

    def set_webhook(self, url: str | None, *, retries: int = 0, retry_after: float = 0.1) -> None:
        """Post events to this address from now on (``None``: to nobody), again when not answered with 200."""
        self._webhooks.url, self._webhooks.retries, self._webhooks.retry_after = url, retries, retry_after

    def send_webhooks_again(self, event_id: str | None = None) -> int:
        """Post one event once more, or all that were never answered with 200. Returns how many."""
        return self._webhooks.send_again(event_id)

    def wait_for_webhooks(self, timeout: float = 10.0) -> bool:
        """Wait until all events so far are posted. False: it took too long."""
        return self._webhooks.wait(timeout)

    # What goes wrong

    def refuse(self, *, seconds: float | None = None) -> None:
        """Refuse connections, and cut the open ones, for some seconds or until ``recover()``."""
        self._stay_closed()
        self._listener.close()
        if seconds is not None:
            self._reopening = threading.Timer(seconds, self._reopen)
            self._reopening.daemon = True
            self._reopening.start()

    def throttle(
        self, *, retry_after: int | str | datetime | None = 1, on: str = ALL, times: int | None = None
    ) -> None:
        """Answer 429. ``retry_after``: seconds, a time (sent as HTTP date), a raw text, or ``None`` for no header."""
        if isinstance(retry_after, datetime):
            retry_after = format_datetime(retry_after.astimezone(UTC), usegmt=True)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._failures.add(Failure(on=on, times=times, status=429, headers=headers, body="Retry later\n"))

    def break_down(
        self, *, status: int = 503, on: str = ALL, times: int | None = None, carried_out: bool = False
    ) -> None:
        """Answer 5xx. ``carried_out``: after having done what was asked."""
        body = "<html><body><h1>We're sorry, but something went wrong.</h1></body></html>"
        headers = {"Content-Type": "text/html"}
        self._failures.add(
            Failure(on=on, times=times, status=status, headers=headers, body=body, carried_out=carried_out)
        )

    def drop(self, *, on: str = "issue", times: int | None = 1, carried_out: bool = True) -> None:
        """Cut the connection instead of answering; what was asked is done, unless told otherwise."""
        self._failures.add(Failure(on=on, times=times, drop=True, carried_out=carried_out))

    def slow_down(self, seconds: float, *, on: str = ALL, times: int | None = None) -> None:
        """Do what was asked at once, but let the caller wait for the answer."""
        self._failures.add(Failure(on=on, times=times, delay=seconds, carried_out=True))

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
        self._failures.add(
            Failure(on=on, times=times, status=status, body=body, headers=headers or {}, carried_out=carried_out)
        )

    def link_elsewhere(self, url: str, *, on: str = ALL, times: int | None = 1) -> None:
        """Answer truly, but let ``metadata.next_page_url`` of a list lead to this address."""
        self._failures.add(Failure(on=on, times=times, carried_out=True, next_page_url=url))

    def recover(self) -> None:
        """Let nothing go wrong any more."""
        self._stay_closed()
        self._failures.clear()
        self._listener.open()

    # Inside

    def _stay_closed(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()

    def _reopen(self) -> None:
        if not self._listener.stopping.is_set():
            self._listener.open()

    def _reply(self, request: Request) -> Reply:
        raise NotImplementedError
