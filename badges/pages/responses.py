"""What all pages have in common: nobody stores them, and search engines do not list them."""

from __future__ import annotations

from typing import TypeVar

from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers, patch_vary_headers

Response = TypeVar("Response", bound=HttpResponseBase)


def unstored(response: Response, *, referrer: str) -> Response:
    """
    Return the response with its headers set.

    A revocation, and a learner who takes a page back, count at once. So no cache may hold a copy. ``referrer`` is the
    value of Referrer-Policy.
    """
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Referrer-Policy"] = referrer
    add_never_cache_headers(response)
    patch_vary_headers(response, ["Accept"])
    return response
