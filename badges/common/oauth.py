"""
OAuth2 client credentials (RFC 6749, section 4.4).

Access tokens are fetched when they are needed. They are kept in memory until they are too old.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import requests

from badges.common.http import AccessRefused, HttpApi, NoAnswer, Refused, RenewableAuth, TooManyRequests

EARLY_SECONDS = 60.0  # A token counts as too old this long before its end, or after half of its life if that is later.


class ClientCredentials(RenewableAuth):
    """
    Authenticates requests with an access token for a client id and its secret.

    api: where tokens are fetched. It sends no credentials of its own, and its remedies name id and secret.
    path: the path of the token endpoint.
    form: whether the endpoint takes a form, as the RFC says, or JSON.
    scheme: the word before the token in the ``Authorization`` header.
    parameters: what the endpoint wants besides grant type, id and secret.
    """

    def __init__(
        self,
        api: HttpApi,
        path: str,
        *,
        client_id: str,
        client_secret: str,
        form: bool = True,
        scheme: str = "Bearer",
        **parameters: str,
    ):
        self._api = api
        self._path = path
        self._form = form
        self._scheme = scheme
        self._secret = client_secret
        self._body = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            **parameters,
        }
        self._lock = threading.Lock()
        self._token, self._ends = "", 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header(self._current_token())
        return request

    def renew(self, refused: requests.PreparedRequest) -> None:
        with self._lock:
            # Another thread may have fetched a new token meanwhile.
            if refused.headers.get("Authorization") == self._header(self._token):
                self._token, self._ends = "", 0.0

    def _header(self, token: str) -> str:
        return f"{self._scheme} {token}"

    def _current_token(self) -> str:
        with self._lock:  # One thread fetches, the others wait for the token.
            if time.monotonic() >= self._ends:
                self._token, seconds = self._fetch()
                self._ends = time.monotonic() + max(seconds - EARLY_SECONDS, seconds / 2)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        """Return a new token and the seconds that it is good for."""
        try:
            answer: Any = self._api.post(self._path, self._body, form=self._form, private=[self._secret])
            return str(answer["access_token"]).strip(), float(answer.get("expires_in", 0))
        except TooManyRequests:
            raise
        except Refused as error:
            # A wrong client is a 400 or a 401 (RFC 6749, section 5.2). Either way all requests lack a token.
            raise AccessRefused(str(error), status=error.status) from error
        except NoAnswer as error:
            # Whatever happened to the token, the request that needs it has not been sent.
            raise NoAnswer(str(error), uncertain=False, retry_after=error.retry_after, circuit=error.circuit) from error
        except (KeyError, TypeError, ValueError, AttributeError):
            message = self._api.message("there is no access token in the answer.")
            raise NoAnswer(message, uncertain=False, circuit=True) from None
