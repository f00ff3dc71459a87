"""OAuth2 client credentials: access tokens are fetched when needed and kept in this process until they are too old."""

from __future__ import annotations

import threading
import time
from typing import Any

import requests
from requests.auth import AuthBase

from badges.issuers.http import NoAnswer, ProviderApi

EARLY = 60.0  # seconds before its end at which a token counts as too old

_lock = threading.Lock()
_tokens: dict[tuple[str, str], tuple[str, float]] = {}


class NoAuth(AuthBase):
    """Send no credentials, not even those that a .netrc file of this machine would offer."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class ClientCredentials(AuthBase):
    """Authenticates requests with an access token for a client id and its secret."""

    def __init__(self, token_api: ProviderApi, path: str, *, client_id: str, client_secret: str):
        self.token_api = token_api
        self.path = path
        self.client_id = client_id
        self.client_secret = client_secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return request

    def renew(self) -> None:
        """Forget the token: the provider did not accept it."""
        with _lock:
            _tokens.pop(self._place, None)

    @property
    def _place(self) -> tuple[str, str]:
        return self.token_api.base, self.client_id

    def _token(self) -> str:
        with _lock:
            token, ends = _tokens.get(self._place, ("", 0.0))
        if time.monotonic() >= ends:
            token, ends = self._fetch()
            with _lock:
                _tokens[self._place] = token, ends
        return token

    def _fetch(self) -> tuple[str, float]:
        body = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        try:
            answer: Any = self.token_api.post(self.path, body, private=[self.client_secret])
            token, seconds = str(answer["access_token"]).strip(), float(answer.get("expires_in", 0))
        except NoAnswer as error:
            # Whatever came of it, what the token was wanted for has not been asked yet.
            raise NoAnswer(str(error), uncertain=False, retry_after=error.retry_after, circuit=error.circuit) from error
        except (KeyError, TypeError, ValueError, AttributeError):
            message = f"{self.token_api.provider}: no access token in the answer."
            raise NoAnswer(message, uncertain=False, circuit=True) from None
        return token, time.monotonic() + seconds - EARLY
