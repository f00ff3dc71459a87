"""The stand-in as a whole, in this process: ``with CredlyStandIn() as credly: … credly.url``."""

from __future__ import annotations

from pathlib import Path

from badges.testing.credly.api import Api
from badges.testing.credly.controls import Controls
from badges.testing.credly.provider import ORGANIZATION, TOKEN
from badges.testing.credly.refusals import VARYING, ErrorBodies
from badges.testing.credly.store import Store


class CredlyStandIn(Controls):
    """
    A Credly that listens on loopback, remembers everything, and fails when told to.

    ``url`` is what a client is configured with in place of ``https://api.credly.com/v1``. With ``state`` everything
    is kept in that SQLite file and found again by the next stand-in on it. One account exists from the start
    (``organization``, ``token``).
    """

    def __init__(
        self,
        *,
        state: str | Path | None = None,
        port: int = 0,
        organization: str = ORGANIZATION,
        token: str = TOKEN,
        webhook_url: str | None = None,
        error_shape: str = VARYING,
        revoked_counts_as_duplicate: bool = False,
    ) -> None:
        errors = ErrorBodies(error_shape)
        super().__init__(
            Store(state),
            port=port,
            webhook_url=webhook_url,
            revoked_counts_as_duplicate=revoked_counts_as_duplicate,
        )
        account = self.add_organization(organization, token=token)
        self.organization, self.token = account.id, account.token
        self.client_id, self.client_secret = account.client_id, account.client_secret
        self._api = Api(self, self._failures, errors, lambda: self.url)

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
