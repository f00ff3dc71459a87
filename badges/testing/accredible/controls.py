"""What a test, the demo or an operator may do to the stand-in, by Python and by ``/_control``, in one place."""

from __future__ import annotations

import hmac
import json

from badges.testing.accredible.failures import Failure
from badges.testing.accredible.provider import Provider
from badges.testing.accredible.records import Call, Credential, Delivery, Event, Group, Organization
from badges.testing.accredible.store import Store
from badges.testing.accredible.wording import webhook_json
from badges.testing.standin import FAILURE_VERBS, StandIn, Webhooks

# The names that both interfaces know, and the record each gives (``None``: a plain value).
OBSERVATIONS: dict[str, type | None] = {
    "organizations": Organization,
    "groups": Group,
    "credentials": Credential,
    "events": Event,
    "deliveries": Delivery,
    "calls": Call,
    "counts": None,
    "failures": Failure,
}
VERBS: dict[str, type | None] = {
    "add_organization": Organization,
    "set_credits": Organization,
    "add_group": Group,
    "change_group": Group,
    "delete_group": None,
    "expire_credential": Credential,
    "publish_credential": Credential,
    "delete_credential": None,
    "set_webhook": None,
    "send_webhooks_again": None,
    "wait_for_webhooks": None,
    **FAILURE_VERBS,
}


class Controls(StandIn, Provider):
    """What goes wrong at Accredible and what people do there (both inherited), and the records."""

    verbs, observations, failure = VERBS, OBSERVATIONS, Failure
    throttled = "Retry later\n"
    broken = "<html><body><h1>We're sorry, but something went wrong.</h1></body></html>"

    def __init__(self, store: Store, *, port: int = 0) -> None:
        super().__init__(port=port, store=store)
        self._webhooks = Webhooks(store, event=Event, encode=self._encode)
        self._secret = ""

    def record_event(self, event: Event) -> None:
        """Hand what happened to the webhooks."""
        self._webhooks.record_event(event)

    # Observations

    @property
    def organizations(self) -> list[Organization]:
        """The accounts, with their keys."""
        return self.store.all(Organization)

    @property
    def groups(self) -> list[Group]:
        """Every group, of every account."""
        return self.store.all(Group)

    @property
    def credentials(self) -> list[Credential]:
        """Every credential there is, oldest first."""
        return self.store.all(Credential)

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
        """What happened to credentials, oldest first."""
        return self.store.all(Event)

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt to post a webhook."""
        return self.store.all(Delivery)

    # Webhooks

    def set_webhook(self, url: str | None, *, secret: str = "", retries: int = 0, retry_after: float = 0.1) -> None:
        """Post events to this address from now on (``None``: to nobody), signed if there is a secret."""
        self._webhooks.url, self._webhooks.retries, self._webhooks.retry_after = url, retries, retry_after
        self._secret = secret

    def send_webhooks_again(self, event_id: str | None = None) -> int:
        """Post one event once more, or all that were never answered with 200. Returns how many."""
        return self._webhooks.send_again(event_id)

    def wait_for_webhooks(self, timeout: float = 10.0) -> bool:
        """Wait until all events so far are posted. False: it took too long."""
        return self._webhooks.wait(timeout)

    def _encode(self, event: Event) -> tuple[bytes, dict[str, str]]:
        body = json.dumps(webhook_json(event)).encode()
        signature = hmac.digest(self._secret.encode(), body, "sha256").hex()
        return body, {"X-Accredible-Signature": signature} if self._secret else {}

    # What goes wrong

    def drop(self, *, on: str = "issue", times: int | None = 1, carried_out: bool = True) -> None:
        """Cut the connection instead of answering; what was asked is done, unless told otherwise."""
        super().drop(on=on, times=times, carried_out=carried_out)
