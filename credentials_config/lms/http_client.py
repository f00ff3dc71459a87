"""
The common HTTP client, set up for the LMS.

The LMS is only read, so a request that failed is sent again. It is told about learners by name, so messages quote
nothing of its answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from badges.common.http import AnswerTooBig, HttpApi, Remedies, RetryPolicy
from badges.common.oauth import ClientCredentials
from badges.exceptions import Permanent, Retryable

MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_PAGES = 100_000
NAME = "The LMS"

_CORRECT_URL = (
    "Set CREDENTIALS_CONFIG['lms']['url'] to the address of the LMS, in the form that the LMS uses for itself."
)
_CORRECT_CLIENT = "Correct client_id and client_secret in CREDENTIALS_CONFIG['lms']."
_REMEDIES = Remedies(
    address=_CORRECT_URL,
    access=(
        "The user of our OAuth2 client must be staff there, and the course's gradebook must be enabled where grades "
        "are asked for."
    ),
    not_found="Check the context key, and that this API is installed there.",
    other="Check the context key and CREDENTIALS_CONFIG['lms']['paths'].",
)
_TOKEN_REMEDIES = Remedies(
    address=_CORRECT_URL,
    access=_CORRECT_CLIENT,
    not_found="Correct the path 'token' in CREDENTIALS_CONFIG['lms']['paths'].",
    other=_CORRECT_CLIENT,
)


class LmsHttpClient:
    """
    The LMS's HTTP API in the name of an OAuth2 client. Threads may share it, also after a fork.

    base: the address of the LMS, without a path. Raises Permanent when it is not usable.
    token_path: where access tokens are fetched. timeout: seconds, as in ``HttpApi``.
    """

    def __init__(
        self,
        base: str,
        *,
        client_id: str,
        client_secret: str,
        token_path: str,
        timeout: float,
        retries: RetryPolicy,
    ):
        _check_url(base)
        self._scheme = urlsplit(base).scheme
        token_api = HttpApi(NAME, base, auth=None, timeout=timeout, remedies=_TOKEN_REMEDIES, name_paths=True)
        credentials = ClientCredentials(
            token_api,
            token_path,
            client_id=client_id,
            client_secret=client_secret,
            # The platform's views take a signed token under this word only.
            scheme="JWT",
            token_type="jwt",  # noqa: S106
        )
        self._api = HttpApi(
            NAME,
            base,
            auth=credentials,
            timeout=timeout,
            remedies=_REMEDIES,
            max_seconds=4 * timeout,
            max_bytes=MAX_ANSWER_BYTES,
            max_pages=MAX_PAGES,
            retries=retries,
            name_paths=True,
        )

    def get(self, path: str, *, attempts: int | None = None, **parameters: Any) -> Any:
        """Return the JSON at a path. ``attempts`` is for requests that are worth fewer than the policy allows."""
        with _page_size_named():
            return self._api.get(path, attempts=attempts, **parameters)

    def entries(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Yield the entries of a list, whether it comes in pages or not; a page is requested when it is needed."""
        with _page_size_named():
            for page in self._api.pages(path, self._next_link, **parameters):
                yield from _entries(page)

    def close(self) -> None:
        """Close the open connections."""
        self._api.close()

    def _next_link(self, page: Any) -> str | None:
        """
        Return the link to the next page, which is at the top of a page or inside ``pagination``.

        An LMS behind a proxy may write the wrong scheme into its links, so the one of the settings replaces it.
        """
        inner = page.get("pagination") if isinstance(page, dict) else None
        holder = inner if isinstance(inner, dict) else page
        link = holder.get("next") if isinstance(holder, dict) else None
        if not isinstance(link, str) or not link:
            return None
        parts = urlsplit(link)
        return parts._replace(scheme=self._scheme).geturl() if parts.scheme in ("http", "https") else link


@contextlib.contextmanager
def _page_size_named() -> Iterator[None]:
    """Let the error about an answer that is too big say what to do: the same answer would come again."""
    try:
        yield
    except AnswerTooBig as error:
        raise Permanent(f"{error} Lower page_size in CREDENTIALS_CONFIG['lms'].") from error


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Permanent(
            "CREDENTIALS_CONFIG['lms']['url'] must be the address of the LMS, like 'https://lms.example.org'."
        )


def _entries(page: Any) -> list[Any]:
    entries = page.get("results") if isinstance(page, dict) else page
    if not isinstance(entries, list):
        raise Retryable(f"{NAME}: the answer is not a list.")
    return entries
