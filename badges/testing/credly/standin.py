"""The stand-in as a whole, in this process: ``with CredlyStandIn() as credly: … credly.url``."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from badges.testing.credly.api import Api
from badges.testing.credly.control_api import PREFIX, ControlApi
from badges.testing.credly.controls import Controls
from badges.testing.credly.messages import Reply, Request
from badges.testing.credly.provider import ORGANIZATION, TOKEN
from badges.testing.credly.refusals import VARYING, ErrorBodies
from badges.testing.credly.server import HOST
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
        self._control_api = ControlApi(self)

    @property
    def url(self) -> str:
        """The base address of the API."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def control_url(self) -> str:
        """The base address of the controls."""
        return f"http://{HOST}:{self.port}{PREFIX}"

    @property
    def port(self) -> int:
        """The port; it stays the same when connections are refused for a while."""
        return self._listener.port

    def start(self) -> Self:
        """Listen."""
        self._listener.open()
        return self

    def stop(self) -> None:
        """Close the port, end what waits, let go of the state file."""
        self._listener.stopping.set()
        self._webhooks.stop()
        self._stay_closed()
        self._listener.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _reply(self, request: Request) -> Reply:
        if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
            return self._control_api.answer(request)
        return self._api.answer(request)
