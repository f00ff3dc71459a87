"""What a test, the demo or an operator may do to the stand-in, by Python and by ``/_control``, in one place."""

from __future__ import annotations

from badges.testing.accredible.failures import Failure
from badges.testing.accredible.provider import Provider
from badges.testing.accredible.records import Call, Credential, Group, Organization
from badges.testing.accredible.store import Store
from badges.testing.standin import FAILURE_VERBS, StandIn

# The names that both interfaces know, and the record each gives (``None``: a plain value).
OBSERVATIONS: dict[str, type | None] = {
    "organizations": Organization,
    "groups": Group,
    "credentials": Credential,
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
    **FAILURE_VERBS,
}


class Controls(StandIn, Provider):
    """What goes wrong at Accredible and what people do there (both inherited), and the records."""

    verbs, observations, failure = VERBS, OBSERVATIONS, Failure
    throttled = "Retry later\n"
    broken = "<html><body><h1>We're sorry, but something went wrong.</h1></body></html>"

    def __init__(self, store: Store, *, port: int = 0) -> None:
        super().__init__(port=port, store=store)

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

    # What goes wrong

    def drop(self, *, on: str = "issue", times: int | None = 1, carried_out: bool = True) -> None:
        """Cut the connection instead of answering; what was asked is done, unless told otherwise."""
        super().drop(on=on, times=times, carried_out=carried_out)
