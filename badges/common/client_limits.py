"""The limit of requests a minute for each client address, counted in the cache that all processes share."""

from __future__ import annotations

import ipaddress
import logging
import time

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from edx_django_utils.ip import get_safest_client_ip

log = logging.getLogger(__name__)

MINUTE = 60


def seconds_to_wait(request: HttpRequest, *, scope: str, limit: int | None, now: float | None = None) -> int:
    """
    Count a request, and return in how many seconds its client address may ask again; 0: now.

    ``scope`` names what is counted together; it begins with the label of its app, because it begins the keys in the
    cache. ``limit``: requests a minute; None: no limit. When the cache fails, the request is answered: what is public
    has addresses that are too long to be guessed, and a page that is down helps nobody.
    """
    if limit is None:
        return 0
    window, passed = divmod(int(time.time() if now is None else now), MINUTE)
    try:
        count = _count(f"{scope}:{window}:{client_key(request, scope=scope)}")
    except Exception:  # every cache backend fails in its own way
        log.warning("The cache does not count; %s is not limited", scope, exc_info=True)
        return 0
    return MINUTE - passed if count > limit else 0


def _count(key: str) -> int:
    """Add one to a count and return it; atomically where the cache can."""
    if cache.add(key, 1, timeout=2 * MINUTE):
        return 1
    try:
        return cache.incr(key)
    except ValueError:  # it was evicted between the two calls
        cache.add(key, 1, timeout=2 * MINUTE)
        return 1


def client_key(request: HttpRequest, *, scope: str) -> str:
    """
    Return a keyed hash of the client address, so that no personal data is in the cache.

    Behind proxies, ``CLOSEST_CLIENT_IP_FROM_HEADERS`` of edx-django-utils says where the address is found. Of an IPv6
    address the network /64 counts, since one household or machine has all of it.
    """
    text = get_safest_client_ip(request)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a Unix socket has no address
        return "unknown"
    if address.version == 6:
        address = address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address
    return salted_hmac(scope, str(address), algorithm="sha256").hexdigest()[:32]
