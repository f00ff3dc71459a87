"""What a test, the demo or an operator may do to the stand-in, by Python and by ``/_control``, in one place."""

from __future__ import annotations

import json

from badges.testing.credly.failures import Failure
from badges.testing.credly.provider import Provider
from badges.testing.credly.records import Badge, Call, Delivery, Event, Organization, Template
from badges.testing.credly.store import Store
from badges.testing.credly.wording import webhook_json
from badges.testing.standin import FAILURE_VERBS, StandIn, Webhooks

# The names that both interfaces know, and the record each gives (``None``: a plain value).
OBSERVATIONS: dict[str, type | None] = {
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
    **FAILURE_VERBS,
}


class Controls(StandIn, Provider):
    """What goes wrong at Credly and what people do there (both inherited), and the records."""

    verbs, observations, failure = VERBS, OBSERVATIONS, Failure
    throttled = "Retry later\n"
    broken = "<html><body><h1>We're sorry, but something went wrong.</h1></body></html>"

    def __init__(self, store: Store, *, port: int = 0, webhook_url: str | None = None, **habits: bool) -> None:
        super().__init__(port=port, store=store, **habits)
        self._webhooks = Webhooks(store, event=Event, encode=_encode, url=webhook_url)

    def record_event(self, event: Event) -> None:
        """Hand what happened to the webhooks."""
        self._webhooks.record_event(event)

    # Observations

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

    def drop(self, *, on: str = "issue", times: int | None = 1, carried_out: bool = True) -> None:
        """Cut the connection instead of answering; what was asked is done, unless told otherwise."""
        super().drop(on=on, times=times, carried_out=carried_out)


def _encode(event: Event) -> tuple[bytes, dict[str, str]]:
    return json.dumps(webhook_json(event)).encode(), {}
