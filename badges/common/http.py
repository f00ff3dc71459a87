"""
The HTTP client for every service that this project asks: providers of badges and the LMS.

It always sets a time-out, and limits how big and how slow an answer may be. It follows no redirect, keeps no cookie,
and sends credentials to the configured address only. Errors are ``Retryable`` (waiting may help) or ``Permanent`` (an
operator has to act). They name the service and the remedy. After a request that changes something,
``NoAnswer.uncertain`` tells whether the change may have been made.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import queue
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import MaxRetryError, NewConnectionError

from badges.common.backoff import next_delay
from badges.common.retry_after import retry_after_seconds
from badges.exceptions import Permanent, RateLimited, Retryable, SharedProblem

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_PAGES = 1000

# No honest link is encoded more often.
_MOST_DECODINGS = 4

_UNUSABLE_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)

# Whether this thread is asking a service. urllib3 writes the address of each request into its debug log, and those to
# the LMS hold usernames. So its lines about our requests are left out; ours name the service and the status.
_is_asking: ContextVar[bool] = ContextVar("lms_badges_is_asking", default=False)
logging.getLogger("urllib3.connectionpool").addFilter(
    lambda record: record.levelno > logging.DEBUG or not _is_asking.get()
)

# Sessions that no thread uses at the moment, by process and service.
_idle_sessions: dict[tuple[int, str], queue.LifoQueue[requests.Session]] = {}


class NoAnswer(Retryable):
    """
    There is no usable answer.

    ``uncertain`` is True when the service may have done what it was asked for all the same.
    """

    def __init__(self, message: str, *, uncertain: bool, retry_after: float | None = None, circuit: bool = False):
        super().__init__(message, retry_after=retry_after, circuit=circuit)
        self.uncertain = uncertain


class AnswerTooBig(NoAnswer):
    """The answer has more bytes than allowed. It was not read to its end."""


class TooManyRequests(NoAnswer, RateLimited):
    """The service did nothing, because it gets too many requests (429)."""


class Refused(Permanent):
    """The service read the request and refused it; ``status`` is the HTTP status."""

    def __init__(self, message: str, *, status: int):
        super().__init__(message)
        self.status = status


class NotFound(Refused):
    """The service has nothing at this address (404)."""


class Redirected(Refused, SharedProblem):
    """The service redirects, which is not followed: the configured address is wrong."""


class AccessRefused(Refused, SharedProblem):
    """The service does not accept the credentials (401, 403)."""


_REFUSALS: dict[int, type[Refused]] = {401: AccessRefused, 403: AccessRefused, 404: NotFound}


@dataclass(frozen=True)
class Remedies:
    """
    Sentences that tell an operator what to do when a service refuses.

    ``address``: the configured address seems wrong. ``access``: the credentials were not accepted (401, 403).
    ``not_found``: there is nothing at the address (404). ``other``: any other refusal; may be blank.
    """

    address: str
    access: str
    not_found: str
    other: str = ""


@dataclass(frozen=True)
class RetryPolicy:
    """
    How often a request that only reads is sent, and the pauses between.

    attempts: the most times that it is sent. base_delay, max_delay: the first and the longest pause in seconds. A
    ``Retry-After`` replaces the pause; when it is longer than ``max_delay``, the caller gets the error at once.
    """

    attempts: int = 1
    base_delay: float = 0.5
    max_delay: float = 30.0

    def backoff_delay(self, attempt: int) -> float:
        """Return the seconds to wait after this many failed attempts."""
        return next_delay(attempt, base=self.base_delay, cap=self.max_delay)


class ErrorReader(Protocol):
    """Reads the body of an error answer."""

    def __call__(self, body: bytes, content_type: str, *, private: Collection[str] = ()) -> str:
        """Return what the answer says, short, on one line and without the ``private`` texts; it may be blank."""


class NoAuth(AuthBase):
    """Sends no credentials. Without it, requests would use those in a ``.netrc`` file of this machine."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class RenewableAuth(AuthBase):
    """Credentials that can become too old. After a 401 they are renewed once and the request is sent again."""

    @abstractmethod
    def renew(self, refused: requests.PreparedRequest) -> None:
        """Drop the credentials that this request carried."""


class HttpApi:
    """
    The HTTP API of one service, used in the name of one account. Threads may share it, also after a fork.

    name: of service and account in messages and for connections, like "Credly (organization 6f…)".
    base: the address under which all paths lie.
    auth: adds the credentials to a request; None sends none.
    timeout: seconds to wait for a connection, for the first byte, and between two bytes.
    remedies: what messages tell the operator to do.
    max_seconds: how long a whole answer may take; twice the timeout by default. It is checked between two pieces of the
    answer, so reading one more piece may exceed it.
    max_bytes: the size of the biggest answer that is read.
    max_pages: the number of pages after which a list counts as endless.
    retries: how often requests that only read are sent; once by default.
    read_error: reads what an error answer says. Without it, messages quote nothing.
    name_paths: whether messages name the path. Set it only when paths in messages hold no personal data.
    """

    def __init__(
        self,
        name: str,
        base: str,
        *,
        auth: AuthBase | None,
        timeout: float,
        remedies: Remedies,
        max_seconds: float | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        max_pages: int = MAX_PAGES,
        retries: RetryPolicy | None = None,
        read_error: ErrorReader | None = None,
        name_paths: bool = False,
    ):
        self.name = name
        self.base = base.rstrip("/") + "/"
        self.auth = auth or NoAuth()
        self.timeout = timeout
        self.remedies = remedies
        self.max_seconds = 2 * timeout if max_seconds is None else max_seconds
        self.max_bytes = max_bytes
        self.max_pages = max_pages
        self.retries = retries or RetryPolicy()
        self.read_error = read_error
        self.name_paths = name_paths

    def get(self, path: str, *, attempts: int | None = None, **parameters: Any) -> Any:
        """
        Return the JSON at a path. Raises NoAnswer, Refused or Permanent, as all methods here.

        ``attempts`` replaces the number in ``retries``.
        """
        return self._get(self._address(path), parameters, attempts)

    def post(self, path: str, body: dict[str, Any], *, form: bool = False, private: Collection[str] = ()) -> Any:
        """
        Send a body and return the JSON of the answer.

        ``form`` sends it as a form instead of JSON. ``private`` texts are removed from error messages.
        """
        return self._call("POST", self._address(path), private=private, **{"data" if form else "json": body})

    def put(self, path: str, body: dict[str, Any], *, private: Collection[str] = ()) -> Any:
        """Send a JSON body and return the JSON of the answer. ``private`` texts are removed from error messages."""
        return self._call("PUT", self._address(path), private=private, json=body)

    def patch(self, path: str, body: dict[str, Any], *, private: Collection[str] = ()) -> Any:
        """Send the changes of something as ``put`` does."""
        return self._call("PATCH", self._address(path), private=private, json=body)

    def delete(self, path: str) -> Any:
        """Delete what is at a path, and return the JSON of the answer."""
        return self._call("DELETE", self._address(path))

    def pages(self, path: str, next_link: Callable[[Any], str | None], **parameters: Any) -> Iterator[Any]:
        """
        Yield one page of a list after the other; a page is requested when the caller wants it.

        ``next_link`` returns the link to the next page that a page holds, or None on the last one. Raises Permanent
        when the link leads to another address, or when the list does not end.
        """
        address = self._address(path)
        for _ in range(self.max_pages):
            page = self._get(address, parameters)
            yield page
            following = self._following(address, page, next_link)
            if following is None:
                return
            address, parameters = following, {}
        raise self.endless_list()

    def page(
        self, path: str, next_link: Callable[[Any], str | None], *, link: str | None = None, **parameters: Any
    ) -> tuple[Any, str | None]:
        """
        Return one page of a list and the address of the next one, None on the last page; for who goes on later.

        ``link`` is such an address of an earlier page. Without it, the first page is asked for with the ``parameters``.
        Raises Permanent when ``link``, or the next address, leads elsewhere. The caller counts the pages.
        """
        address = self._address(path)
        if link is not None:
            address, parameters = self._linked(address, link), {}
        page = self._get(address, parameters)
        return page, self._following(address, page, next_link)

    def endless_list(self) -> Permanent:
        """Return the error of a list that does not end."""
        return Permanent(self.message("a list does not end. Tell the administrator of the service."))

    def _following(self, address: str, page: Any, next_link: Callable[[Any], str | None]) -> str | None:
        link = next_link(page)
        if link is None:
            return None
        following = self._linked(address, link)
        if following == address:
            raise self.endless_list()
        return following

    def _linked(self, address: str, link: str) -> str:
        try:
            return linked_address(address, link, base=self.base)
        except ValueError as error:
            message = self.message(f"the list goes on at {error}. Nothing was sent there. {self.remedies.address}")
            raise Permanent(message) from None

    def close(self) -> None:
        """Close the connections of this process that are not in use."""
        idle = _idle_sessions.get((os.getpid(), self.name))
        with contextlib.suppress(queue.Empty):
            while idle:
                idle.get_nowait().close()

    def message(self, text: str) -> str:
        """Return a message about this service: its name, then the text."""
        return f"{self.name}: {text}"

    def _address(self, path: str) -> str:
        return self.base + path.removeprefix("/")

    def _get(self, address: str, parameters: dict[str, Any], attempts: int | None = None) -> Any:
        attempts = attempts or self.retries.attempts
        for attempt in range(1, attempts + 1):
            try:
                return self._call("GET", address, params=parameters)
            except AnswerTooBig:  # the next answer would be as big
                raise
            except Retryable as error:
                wait = self.retries.backoff_delay(attempt) if error.retry_after is None else error.retry_after
                if attempt == attempts or wait > self.retries.max_delay:
                    raise
                log.info("%s Trying again in %.1f s.", error, wait)
                time.sleep(wait)
        raise AssertionError("attempts is at least 1")

    def _call(self, method: str, address: str, *, private: Collection[str] = (), **parts: Any) -> Any:
        changes = method != "GET"
        response, body = self._exchange(method, address, **parts)
        if response.status_code == 401 and isinstance(self.auth, RenewableAuth):
            self.auth.renew(response.request)
            response, body = self._exchange(method, address, **parts)
        self._raise_for(response, body, changes, private)
        return self._json(body, changes)

    def _exchange(self, method: str, address: str, **parts: Any) -> tuple[requests.Response, bytes]:
        """Return the response and its body. ``parts`` are the arguments of requests for query and body."""
        began, asking = time.monotonic(), _is_asking.set(True)
        try:
            with (
                _session(self.name) as session,
                session.request(
                    method,
                    address,
                    auth=self.auth,
                    timeout=self.timeout,
                    allow_redirects=False,  # the credentials are for this host alone
                    stream=True,
                    headers={"Accept": "application/json"},
                    **parts,
                ) as response,
            ):
                body = self._read(response, began, changes=method != "GET")
        except requests.RequestException as error:
            if isinstance(error, _UNUSABLE_ADDRESS):
                raise self._unusable_address() from error
            raise self._no_answer(error, changes=method != "GET") from error
        except ValueError as error:  # what urllib3 and http.client raise for an unusable address
            raise self._unusable_address() from error
        finally:
            _is_asking.reset(asking)
        log.debug("%s %s: %s after %.3f s", self.name, method, response.status_code, time.monotonic() - began)
        return response, body

    def _read(self, response: requests.Response, began: float, *, changes: bool) -> bytes:
        """
        Return the body, but read no more and no longer than allowed: the time-out of requests is for each byte.

        A worker that waits longer than the lease of its row loses the row. The next worker asks the service what it
        knows before it sends anything again.
        """
        pieces, size = [], 0
        for piece in response.iter_content(64 * 1024):
            pieces.append(piece)
            size += len(piece)
            if size > self.max_bytes:
                message = self.message(f"the answer is bigger than {self.max_bytes} bytes.")
                raise AnswerTooBig(message, uncertain=changes, circuit=True)
            if time.monotonic() - began > self.max_seconds:
                raise requests.exceptions.ReadTimeout("the answer does not end")
        return b"".join(pieces)

    def _unusable_address(self) -> Permanent:
        return SharedProblem(self.message(f"the address {self.base!r} is not usable. {self.remedies.address}"))

    def _no_answer(self, error: requests.RequestException, *, changes: bool) -> NoAnswer:
        if _never_sent(error):
            return NoAnswer(self.message("it cannot be reached."), uncertain=False, circuit=True)
        reason = "it did not answer in time." if isinstance(error, requests.Timeout) else "the connection broke."
        return NoAnswer(self.message(reason), uncertain=changes, circuit=True)

    def _raise_for(self, response: requests.Response, body: bytes, changes: bool, private: Collection[str]) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        wait = retry_after_seconds(response.headers.get("Retry-After"), now=dt.datetime.now(dt.UTC))
        at_path = f" at {urlsplit(response.url).path}" if self.name_paths else ""
        quoted = self._quoted(response, body, private)
        if status == 429:
            message = self.message(f"too many requests (429){at_path}.{quoted}")
            raise TooManyRequests(message, uncertain=False, retry_after=wait)
        if status >= 500 or status == 408:
            message = self.message(f"it failed ({status}){at_path}.{quoted}")
            raise NoAnswer(message, uncertain=changes, retry_after=wait, circuit=True)
        message = self.message(f"{self._refusal(status, at_path)}{quoted}")
        raise (Redirected if 300 <= status < 400 else _REFUSALS.get(status, Refused))(message, status=status)

    def _quoted(self, response: requests.Response, body: bytes, private: Collection[str]) -> str:
        if self.read_error is None:
            return ""
        text = self.read_error(body, response.headers.get("Content-Type", ""), private=private)
        return f" It says: {text}" if text else ""

    def _refusal(self, status: int, at_path: str) -> str:
        if status in (401, 403):
            return f"our key was not accepted ({status}){at_path}. {self.remedies.access}"
        if status == 404:
            return f"it does not know what was asked for (404){at_path}. {self.remedies.not_found}"
        if 300 <= status < 400:
            return f"it redirects ({status}){at_path}, which is not followed. {self.remedies.address}"
        return f"the request was refused ({status}){at_path}. {self.remedies.other}".rstrip()

    def _json(self, body: bytes, changes: bool) -> Any:
        if not body.strip():
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise NoAnswer(self.message("the answer is not JSON."), uncertain=changes, circuit=True) from None


def linked_address(current: str, link: str, *, base: str) -> str:
    """
    Return the address that a link leads to, which may be relative to the ``current`` one.

    Raises ValueError when it lies outside of ``base``, because credentials would be sent to somebody else.
    """
    address = urljoin(current, link)
    if not is_within(address, base=base):
        raise ValueError("another address (another host, another port or another folder)")
    return address


def is_within(address: str, *, base: str) -> bool:
    """
    Return whether an address lies in the folder of ``base``: same scheme, host and port.

    Addresses with a user name, or with dots that lead out of the folder, do not. Dots and slashes may be encoded, also
    more than once: a proxy in between may decode them.
    """
    there, here = urlsplit(address), urlsplit(base)
    same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    return same and there.username is None and there.path.startswith(here.path) and not _leads_up(there.path)


def _leads_up(path: str) -> bool:
    """Return whether a path has a segment of two dots, however it is encoded."""
    for _ in range(_MOST_DECODINGS):
        if (decoded := unquote(path)) == path:
            return ".." in re.split(r"[/\\]", path)
        path = decoded
    return True


def _never_sent(error: requests.RequestException) -> bool:
    """Return whether there was no connection at all, so that the request cannot have had an effect."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)


@contextlib.contextmanager
def _session(name: str) -> Iterator[requests.Session]:
    """
    Lend a session of this service, whose connections stay open between calls.

    Sessions are not promised to be safe between threads, so one thread has it at a time. An open connection must not
    be shared across a fork (as of Celery's workers), so every process has its own.
    """
    idle = _idle_sessions.setdefault((os.getpid(), name), queue.LifoQueue())
    try:
        session = idle.get_nowait()
    except queue.Empty:
        session = _new_session()
    try:
        yield session
    finally:
        idle.put(session)


def _new_session() -> requests.Session:
    session = requests.Session()
    cookies = RequestsCookieJar()
    cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.cookies = cookies
    return session
