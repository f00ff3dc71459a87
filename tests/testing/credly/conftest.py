"""A stand-in, and a client that knows nothing of it but its address and token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from badges.testing.credly import CredlyProcess, CredlyStandIn, Template


class Client:
    """A session at the API, as a stranger would write it."""

    def __init__(self, credly: CredlyStandIn | CredlyProcess) -> None:
        self.credly = credly
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (credly.token, "")

    def __call__(self, method: str, path: str = "", **options: Any) -> requests.Response:
        """Ask something below the organization's address."""
        options.setdefault("timeout", 20)
        return self.session.request(
            method, f"{self.credly.url}/organizations/{self.credly.organization}{path}", **options
        )

    def issue(self, template: Template | str, *, timeout: float = 20, **changes: Any) -> requests.Response:
        """Issue a badge to Ada, or as changed; a field that is ``None`` is left out."""
        body = {
            "recipient_email": "ada@example.com",
            "issued_to_first_name": "Ada",
            "issued_to_last_name": "Lovelace",
            "badge_template_id": getattr(template, "id", template),
            "issued_at": "2026-03-04T05:06:07Z",
            "issuer_earner_id": "earner-17",
            **changes,
        }
        body = {name: value for name, value in body.items() if value is not None}
        return self("POST", "/badges", json=body, timeout=timeout)


@pytest.fixture
def credly() -> Iterator[CredlyStandIn]:
    with CredlyStandIn() as credly:
        yield credly


@pytest.fixture
def template(credly: CredlyStandIn) -> Template:
    return credly.add_template(name="Algebra star")


@pytest.fixture
def client_of() -> Iterator[Callable[[Any], Client]]:
    clients: list[Client] = []

    def make(credly: Any) -> Client:
        clients.append(Client(credly))
        return clients[-1]

    yield make
    for client in clients:
        client.session.close()


@pytest.fixture
def ask(credly: CredlyStandIn, client_of: Callable[[Any], Client]) -> Client:
    return client_of(credly)
