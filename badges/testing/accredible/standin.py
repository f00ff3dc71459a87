"""The stand-in as a whole, in this process: ``with AccredibleStandIn() as accredible: … accredible.url``."""

from __future__ import annotations

from pathlib import Path

from badges.testing.accredible.api import Api
from badges.testing.accredible.controls import Controls
from badges.testing.accredible.provider import KEY
from badges.testing.accredible.refusals import VARYING, ErrorBodies
from badges.testing.accredible.store import Store


class AccredibleStandIn(Controls):
    """
    An Accredible that listens on loopback, remembers everything, and fails when told to.

    ``url`` is what a client is configured with in place of ``https://api.accredible.com/v1``. With ``state``
    everything is kept in that SQLite file and found again by the next stand-in on it. One account exists from the
    start, which ``key`` opens.
    """

    def __init__(
        self, *, state: str | Path | None = None, port: int = 0, key: str = KEY, error_shape: str = VARYING
    ) -> None:
        super().__init__(Store(state), port=port)
        account = self.add_organization(key=key)
        self.organization, self.key = account.id, account.key
        self._api = Api(self, self._failures, ErrorBodies(error_shape))

    @property
    def url(self) -> str:
        """The base address of the API."""
        return f"{self.address}/v1"

    def stop(self) -> None:
        """Close the port, end what waits, let go of the state file."""
        self._listener.stopping.set()
        self._webhooks.stop()
        super().stop()
        self.store.close()
