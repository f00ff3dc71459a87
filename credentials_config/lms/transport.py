"""
Speaking HTTP to the LMS: timeouts always, retries with growing pauses, and the token to nobody else.

Everything here only reads, so a request that failed is simply sent again. What ``Retry-After`` asks for is respected;
when that is too long to wait here, the caller learns it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar

from badges.common.backoff import next_delay
from badges.common.retry_after import retry_after_seconds
from badges.exceptions import Permanent, Retryable

log = logging.getLogger(__name__)

BIGGEST_ANSWER = 32 * 1024 * 1024
MOST_PAGES = 100_000
EARLY = 60.0  # seconds before its end at which a token counts as too old


class NotFound(Permanent):
    """There is nothing at this address (404)."""


@dataclass(frozen=True)
class Patience:
    """How long one request may take, how often it is tried, and the pauses between."""

    timeout: float = 30.0
    attempts: int = 4
    base_delay: float = 0.5
    max_delay: float = 30.0

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after this many failed tries."""
        return next_delay(attempt, base=self.base_delay, cap=self.max_delay)


class NoAuth(AuthBase):
    """Send no credentials, not even those that a .netrc file of this machine would offer."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Transport:
    """The LMS's HTTP API at ``base``, in the name of an OAuth2 client. Used by several threads and after forks."""

    def __init__(self, base: str, *, client_id: str, client_secret: str, token_path: str, patience: Patience):
        self.base = _checked(base)
        self.client_id = client_id
        self.client_secret = client_secret
        self.token_path = token_path
        self.patience = patience
        self._sessions: dict[int, queue.LifoQueue[requests.Session]] = {}
        self._token_lock = threading.Lock()
        self._token = ("", 0.0)

    def get(self, path: str, *, attempts: int | None = None, **parameters: Any) -> Any:
        """Return the JSON at a path; ``attempts``: be less patient than usual."""
        return self._tried(self.base + path, parameters, attempts)

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Yield the entries of a list that comes in pages (or of one that does not), as far as the caller reads."""
        address: str | None = self.base + path
        for _ in range(MOST_PAGES):
            assert address is not None
            page = self._tried(address, parameters)
            yield from _entries(page)
            following = _following(page)
            if following is None:
                return
            before, address, parameters = address, self._ours(following, seen_from=address), {}
            if address == before:
                break
        raise Permanent("The LMS: a list does not end. Tell its administrator.")

    def close(self) -> None:
        """Close the open connections."""
        for waiting in self._sessions.values():
            while not waiting.empty():
                waiting.get().close()

    def _tried(self, address: str, parameters: dict[str, Any], attempts: int | None = None) -> Any:
        attempts = attempts or self.patience.attempts
        for attempt in range(1, attempts + 1):
            try:
                return self._authorized(address, parameters)
            except Retryable as error:
                wait = self.patience.delay(attempt) if error.retry_after is None else error.retry_after
                if attempt == attempts or wait > self.patience.max_delay:
                    raise
                log.info("%s Trying again in %.1f s.", error, wait)
                time.sleep(wait)
        raise AssertionError("attempts is at least 1")

    def _authorized(self, address: str, parameters: dict[str, Any]) -> Any:
        token = self._current_token()
        response, text = self._exchange("GET", address, token=token, params=parameters)
        if response.status_code == 401:  # the token may just have become too old, or the LMS was restarted
            self._forget(token)
            response, text = self._exchange("GET", address, token=self._current_token(), params=parameters)
        _raise_for(response, text, address)
        return _json(text)

    # Tokens

    def _current_token(self) -> str:
        with self._token_lock:  # one thread fetches, the others wait for it
            token, ends = self._token
            if time.monotonic() >= ends:
                self._token = token, ends = self._fetched_token()
            return token

    def _forget(self, token: str) -> None:
        with self._token_lock:
            if self._token[0] == token:  # another thread may have fetched a new one meanwhile
                self._token = ("", 0.0)

    def _fetched_token(self) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_type": "jwt",
        }
        response, text = self._exchange("POST", self.base + self.token_path, data=form)
        if response.status_code in (400, 401, 403):
            raise Permanent(
                f"The LMS does not accept our OAuth2 client ({response.status_code}). "
                "Correct client_id and client_secret in CREDENTIALS_CONFIG['lms']."
            )
        _raise_for(response, text, self.token_path)
        answer = _json(text)
        try:
            token, seconds = str(answer["access_token"]), float(answer.get("expires_in", 0))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Retryable("The LMS: no access token in the answer.", circuit=True) from None
        return token, time.monotonic() + max(seconds - EARLY, seconds / 2)

    # Exchanges

    def _exchange(self, method: str, address: str, *, token: str = "", **parts: Any) -> tuple[requests.Response, bytes]:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"JWT {token}"
        began = time.monotonic()
        try:
            with (
                self._session() as session,
                session.request(
                    method,
                    address,
                    auth=NoAuth(),
                    timeout=self.patience.timeout,
                    allow_redirects=False,  # the token is for this host
                    stream=True,
                    headers=headers,
                    **parts,
                ) as response,
            ):
                return response, self._read(response, began)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError) as error:
            raise Permanent(
                "The address of the LMS is not usable. Correct CREDENTIALS_CONFIG['lms']['url']."
            ) from error
        except requests.Timeout as error:
            raise Retryable("The LMS did not answer in time.", circuit=True) from error
        except requests.RequestException as error:
            raise Retryable(f"The LMS cannot be reached ({type(error).__name__}).", circuit=True) from error

    def _read(self, response: requests.Response, began: float) -> bytes:
        """Read the answer, but no more and no longer than is reasonable: requests' own timeout is per byte."""
        parts, size = [], 0
        for part in response.iter_content(64 * 1024):
            parts.append(part)
            size += len(part)
            if size > BIGGEST_ANSWER:
                raise Permanent("The LMS: an answer is bigger than any should be. Lower page_size in its settings.")
            if time.monotonic() - began > 4 * self.patience.timeout:
                raise requests.exceptions.ReadTimeout("the answer does not end")
        return b"".join(parts)

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """Lend a session to one thread at a time; a forked process starts with none of its parent's connections."""
        waiting = self._sessions.setdefault(os.getpid(), queue.LifoQueue())
        try:
            session = waiting.get_nowait()
        except queue.Empty:
            session = _new_session()
        try:
            yield session
        finally:
            waiting.put(session)

    def _ours(self, link: str, *, seen_from: str) -> str:
        """Return the address a link leads to, if it is at our LMS; behind a proxy it may name the wrong scheme."""
        target, home = urlsplit(urljoin(seen_from, link)), urlsplit(self.base)
        if target.scheme not in ("http", "https") or target.netloc.lower() != home.netloc.lower():
            raise Permanent(
                "The LMS: the link to the next page leads to another host; nothing was sent there. "
                "Set CREDENTIALS_CONFIG['lms']['url'] to the address that the LMS calls itself by."
            )
        return urlunsplit((home.scheme, home.netloc, target.path, target.query, ""))


def _checked(base: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Permanent(
            "CREDENTIALS_CONFIG['lms']['url'] must be the address of the LMS, like 'https://lms.example.org'."
        )
    return base.rstrip("/")


def _new_session() -> requests.Session:
    session = requests.Session()
    jar = RequestsCookieJar()
    jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.cookies = jar
    return session


def _raise_for(response: requests.Response, text: bytes, address: str) -> None:
    status, path = response.status_code, urlsplit(address).path
    if 200 <= status < 300:
        return
    wait = retry_after_seconds(response.headers.get("Retry-After"), now=dt.datetime.now(dt.UTC))
    if status == 429:
        raise Retryable("The LMS: too many requests (429).", retry_after=wait)
    if status >= 500 or status == 408:
        raise Retryable(f"The LMS failed ({status}) at {path}.", retry_after=wait, circuit=True)
    if status == 404:
        raise NotFound(f"The LMS has nothing at {path} (404). Check the context key, and that its API is installed.")
    if status in (401, 403):
        raise Permanent(
            f"The LMS refuses {path} ({status}). The user of our OAuth2 client must be staff there, and the course's "
            "gradebook must be enabled where grades are asked for."
        )
    if 300 <= status < 400:
        raise Permanent(f"The LMS redirects {path}, which is not followed. Correct CREDENTIALS_CONFIG['lms']['url'].")
    raise Permanent(f"The LMS refuses {path} ({status}). Check the context key and CREDENTIALS_CONFIG['lms']['paths'].")


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Retryable("The LMS: the answer is not JSON.", circuit=True) from None


def _entries(page: Any) -> list[Any]:
    entries = page.get("results") if isinstance(page, dict) else page
    if not isinstance(entries, list):
        raise Retryable("The LMS: the answer is no list.")
    return entries


def _following(page: Any) -> str | None:
    """Return the link to the next page: at the top, or inside ``pagination``."""
    if not isinstance(page, dict):
        return None
    inner = page.get("pagination")
    link = inner.get("next") if isinstance(inner, dict) else page.get("next")
    return link if isinstance(link, str) and link else None
