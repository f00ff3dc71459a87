"""OAuth2 client credentials: how long a token is used, and which one is dropped after a refusal."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import pytest
import requests

from badges.common.http import HttpApi, NoAnswer, Remedies
from badges.common.oauth import ClientCredentials


class TokenApi(HttpApi):
    """Hands out token-1, token-2 and so on, each for the same number of seconds."""

    def __init__(self, seconds: float):
        remedies = Remedies(address="", access="", not_found="")
        super().__init__("Service", "http://127.0.0.1:9", auth=None, timeout=1, remedies=remedies)
        self.seconds = seconds
        self.bodies: list[dict[str, Any]] = []
        self.uncertain = False

    def post(self, path: str, body: dict[str, Any], *, form: bool = False, private: Collection[str] = ()) -> Any:
        if self.uncertain:
            raise NoAnswer("Service: the connection broke.", uncertain=True, retry_after=9, circuit=True)
        self.bodies.append(body)
        return {"access_token": f"token-{len(self.bodies)}", "expires_in": self.seconds}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock to set: the first item is the time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def signed(auth: ClientCredentials) -> requests.PreparedRequest:
    return auth(requests.Request("GET", "http://127.0.0.1:9/").prepare())


def header(auth: ClientCredentials) -> str:
    return signed(auth).headers["Authorization"]


def credentials(api: HttpApi, **more: Any) -> ClientCredentials:
    return ClientCredentials(api, "token", client_id="id-7", client_secret="secret-7", **more)


@pytest.mark.parametrize(("seconds", "used_for"), [(3600, 3540), (100, 50), (10, 5)])
def test_a_token_is_used_until_shortly_before_its_end(clock: list[float], seconds: float, used_for: float) -> None:
    auth = credentials(TokenApi(seconds))
    assert header(auth) == "Bearer token-1"
    clock[0] += used_for - 1
    assert header(auth) == "Bearer token-1"
    clock[0] += 1
    assert header(auth) == "Bearer token-2"


def test_only_the_token_that_was_refused_is_dropped(clock: list[float]) -> None:
    auth = credentials(TokenApi(3600))
    refused = signed(auth)
    auth.renew(refused)
    assert header(auth) == "Bearer token-2"
    auth.renew(refused)  # the refusal of a second request that carried the first token
    assert header(auth) == "Bearer token-2"


def test_what_a_service_wants_besides_is_sent_and_its_word_stands_before_the_token() -> None:
    api = TokenApi(3600)
    assert header(credentials(api, scheme="JWT", token_type="jwt")) == "JWT token-1"
    assert api.bodies == [
        {"grant_type": "client_credentials", "client_id": "id-7", "client_secret": "secret-7", "token_type": "jwt"}
    ]


def test_without_a_token_the_request_was_certainly_not_sent() -> None:
    api = TokenApi(3600)
    api.uncertain = True
    with pytest.raises(NoAnswer) as failed:
        header(credentials(api))
    assert (failed.value.uncertain, failed.value.retry_after, failed.value.circuit) == (False, 9, True)
