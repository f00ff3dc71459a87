"""So many public questions a minute for each address, counted in the host's cache, so that all its processes count."""

from __future__ import annotations

import ipaddress
import logging
import time

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from edx_django_utils.ip import get_safest_client_ip

from credentials_config.conf import config

log = logging.getLogger(__name__)

MINUTE = 60


def seconds_to_wait(request: HttpRequest, *, now: float | None = None) -> int:
    """
    Count a question, and return in how many seconds its address may ask again; 0: now.

    The limit is ``CREDENTIALS_CONFIG["verification"]["requests_per_minute"]``; None switches it off. When the cache
    fails, the question is answered: codes are far too long to be guessed, and a page that is down helps nobody.
    """
    limit = config.verification["requests_per_minute"]
    if limit is None:
        return 0
    window, passed = divmod(int(time.time() if now is None else now), MINUTE)
    key = f"lms_credentials_config:verify:{window}:{_whose(request)}"
    try:
        count = _count(key)
    except Exception:  # every cache backend fails in its own way
        log.warning("The cache does not count; the verification page is not throttled", exc_info=True)
        return 0
    return MINUTE - passed if count > int(limit) else 0


def _count(key: str) -> int:
    """Count on, atomically where the cache can."""
    if cache.add(key, 1, timeout=2 * MINUTE):
        return 1
    try:
        return cache.incr(key)
    except ValueError:  # it left the cache between the two
        cache.add(key, 1, timeout=2 * MINUTE)
        return 1


def _whose(request: HttpRequest) -> str:
    """
    Name the address without keeping it: personal data stays out of the cache.

    Behind proxies it is found as ``CLOSEST_CLIENT_IP_FROM_HEADERS`` of edx-django-utils says. In IPv6 a household or a
    machine has a whole /64 to itself.
    """
    text = get_safest_client_ip(request)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a Unix socket has no address
        return "unknown"
    if address.version == 6:
        address = address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address
    return salted_hmac("credentials_config.verification", str(address), algorithm="sha256").hexdigest()[:32]
