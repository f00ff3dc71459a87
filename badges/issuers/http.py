"""
Speaking HTTP to providers: timeouts always, nothing too big, no token to strangers, and errors that say who should act.

``Retryable`` when waiting may help: unreachable, too busy, broken inside. ``Permanent`` when an operator has to do
something. After a request that changes something the difference matters between *it did not happen* and *nobody knows*:
``NoAnswer.uncertain`` says the second.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import threading
import time
from collections.abc import Collection, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import MaxRetryError, NewConnectionError

from badges.common.retry_after import retry_after_seconds
from badges.exceptions import Permanent, Retryable
from badges.issuers import answers

log = logging.getLogger(__name__)

BIGGEST_ANSWER = 8 * 1024 * 1024
MOST_PAGES = 1000

_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)

_threads = threading.local()


class NoAnswer(Retryable):
    """The provider did not do it, or did not say so; ``uncertain``: it may have been done all the same."""

    def __init__(self, message: str, *, uncertain: bool, retry_after: float | None = None, circuit: bool = False):
        super().__init__(message, retry_after=retry_after, circuit=circuit)
        self.uncertain = uncertain


class Refused(Permanent):
    """The provider read the request and said no; ``status`` is its HTTP status."""

    def __init__(self, message: str, *, status: int):
        super().__init__(message)
        self.status = status


class ProviderApi:
    """
    A provider's HTTP API, spoken to in the name of one organization.

    ``provider`` is its name in messages, ``whose`` says in whose name ("organization 6f…"), ``remedy`` what an operator
    checks when the provider does not accept our key. ``timeout`` is the seconds to wait for a connection, for the first
    and between two bytes; an answer that comes in many pieces is given up after twice as long.
    """

    def __init__(self, provider: str, base: str, *, whose: str, auth: AuthBase, timeout: float, remedy: str):
        self.provider = provider
        self.base = base.rstrip("/") + "/"
        self.whose = whose
        self.auth = auth
        self.timeout = timeout
        self.remedy = remedy

    def get(self, path: str, **parameters: str) -> Any:
        """Return the JSON that is there."""
        return self._call("GET", self.base + path, params=parameters)

    def post(self, path: str, body: dict[str, Any], *, private: Collection[str] = ()) -> Any:
        """Send JSON and return the JSON that answers it; ``private`` texts are taken out of error messages."""
        return self._call("POST", self.base + path, body=body, private=private)

    def put(self, path: str, body: dict[str, Any], *, private: Collection[str] = ()) -> Any:
        """Send JSON and return the JSON that answers it; ``private`` texts are taken out of error messages."""
        return self._call("PUT", self.base + path, body=body, private=private)

    def pages(self, path: str, **parameters: str) -> Iterator[Any]:
        """Yield one page of a list after the other, as far as the caller cares to read."""
        address = self.base + path
        for _ in range(MOST_PAGES):
            page = self._call("GET", address, params=parameters)
            yield page
            try:
                following = answers.next_page(address, page, base=self.base)
            except ValueError as error:
                raise Permanent(self._says(f"{error}; nothing was sent there.")) from None
            if following is None:
                return
            address, parameters = following, {}
        raise Permanent(self._says(f"the list has more than {MOST_PAGES} pages."))

    def _call(
        self, method: str, address: str, *, params: Any = None, body: Any = None, private: Collection[str] = ()
    ) -> Any:
        changes = method != "GET"
        response, text = self._exchange(method, address, params=params, json=body)
        renew = getattr(self.auth, "renew", None)
        if response.status_code == 401 and renew:  # the access token may just have become too old
            renew()
            response, text = self._exchange(method, address, params=params, json=body)
        self._raise_for(response, text, changes, private)
        return self._json(text, changes)

    def _exchange(self, method: str, address: str, **parts: Any) -> tuple[requests.Response, bytes]:
        began = time.monotonic()
        try:
            with self._send(method, address, **parts) as response:
                text = self._read(response, began)
        except requests.RequestException as error:
            raise self._unanswered(error, changes=method != "GET") from error
        except ValueError as error:  # urllib3 and http.client on addresses that are none
            raise Permanent(
                self._says(f"the address {self.base!r} is not usable. Correct it in BADGES_CONFIG.")
            ) from error
        log.debug("%s %s: %s after %.3f s", self.provider, method, response.status_code, time.monotonic() - began)
        return response, text

    def _send(self, method: str, address: str, **parts: Any) -> requests.Response:
        return _session(self.provider, self.whose).request(
            method,
            address,
            auth=self.auth,
            timeout=self.timeout,
            allow_redirects=False,  # the token is for this host
            stream=True,
            headers={"Accept": "application/json"},
            **parts,
        )

    def _read(self, response: requests.Response, began: float) -> bytes:
        """
        Read the answer, but no more and no longer than is reasonable: requests' own timeout is per byte.

        The time is looked at between pieces, and one piece may still trickle in. Whoever is kept longer than a row's
        lease loses the row to somebody who looks before asking again.
        """
        parts, size = [], 0
        for part in response.iter_content(64 * 1024):
            parts.append(part)
            size += len(part)
            if size > BIGGEST_ANSWER:
                raise requests.exceptions.ContentDecodingError("bigger than any answer should be")
            if time.monotonic() - began > 2 * self.timeout:
                raise requests.exceptions.ReadTimeout("the answer does not end")
        return b"".join(parts)

    def _unanswered(self, error: requests.RequestException, changes: bool) -> Retryable | Permanent:
        if isinstance(error, _NO_ADDRESS):
            return Permanent(self._says(f"the address {self.base!r} is not usable. Correct it in BADGES_CONFIG."))
        if _never_sent(error):
            return NoAnswer(self._says("it cannot be reached."), uncertain=False, circuit=True)
        what = "it did not answer in time." if isinstance(error, requests.Timeout) else "the connection broke."
        return NoAnswer(self._says(what), uncertain=changes, circuit=True)

    def _raise_for(self, response: requests.Response, text: bytes, changes: bool, private: Collection[str]) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        wait = retry_after_seconds(response.headers.get("Retry-After"), now=dt.datetime.now(dt.UTC))
        said = answers.error_text(text, response.headers.get("Content-Type", ""), private=private)
        quoted = f" It says: {said}" if said else ""
        if status == 429:
            raise NoAnswer(self._says(f"too many requests (429).{quoted}"), uncertain=False, retry_after=wait)
        if status >= 500 or status == 408:
            message = self._says(f"it failed ({status}).{quoted}")
            raise NoAnswer(message, uncertain=changes, retry_after=wait, circuit=True)
        raise Refused(self._says(f"{self._refusal(status)}{quoted}"), status=status)

    def _refusal(self, status: int) -> str:
        if status in (401, 403):
            return f"our key was not accepted ({status}). {self.remedy}"
        if status == 404:
            return f"it does not know what was asked for (404). {self.remedy}"
        if 300 <= status < 400:
            return f"it redirects ({status}), which is not followed. Correct the API address in BADGES_CONFIG."
        return f"the request was refused ({status})."

    def _json(self, text: bytes, changes: bool) -> Any:
        if not text.strip():
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise NoAnswer(self._says("the answer is not JSON."), uncertain=changes, circuit=True) from None

    def _says(self, what: str) -> str:
        return f"{self.provider} ({self.whose}): {what}"


def _never_sent(error: requests.RequestException) -> bool:
    """Whether there was no connection at all, so that the request cannot have had an effect."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)


def _session(*key: str) -> requests.Session:
    """
    Return this thread's session: its connections stay open between calls.

    Sessions are not promised to be safe between threads, and an open connection must not be shared across a fork
    (Celery's workers), hence one for each.
    """
    sessions: dict[tuple[Any, ...], requests.Session] = _threads.__dict__.setdefault("sessions", {})
    place = (os.getpid(), *key)
    if place not in sessions:
        session = sessions[place] = requests.Session()
        jar = RequestsCookieJar()
        jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.cookies = jar
    return sessions[place]
