"""Too many requests from one client are refused, and other clients are not affected."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as host
from django.test import RequestFactory

from badges.common import client_limits
from badges.common.client_limits import client_key
from credentials_config.verification.throttling import SCOPE, seconds_to_wait
from tests.services import Redis
from tests.services.service import free_port

ADDRESS = "/credentials/verify/0123456789ABCDEF"
MIDDLE = 1_800_000_015.0  # a quarter into a minute


@pytest.fixture(autouse=True)
def _three_a_minute(settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {"verification": {"requests_per_minute": 3}}


def ask(address: str, *, now: float = MIDDLE, **headers: Any) -> int:
    return seconds_to_wait(RequestFactory().get(ADDRESS, REMOTE_ADDR=address, **headers), now=now)


@pytest.mark.django_db
def test_too_many_requests_are_refused_with_the_time_to_wait(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_limits, "time", SimpleNamespace(time=lambda: MIDDLE))
    assert [client.get(ADDRESS).status_code for _ in range(3)] == [404] * 3
    answer = client.get(ADDRESS)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "45"
    assert b"Too many certificates were asked for from your network" in answer.content
    assert "noindex" in answer.headers["X-Robots-Tag"]


def test_a_new_minute_begins_anew() -> None:
    assert [ask("203.0.113.1") for _ in range(5)] == [0, 0, 0, 45, 45]
    assert ask("203.0.113.1", now=MIDDLE + 45) == 0


def test_each_address_counts_for_itself() -> None:
    assert [ask("203.0.113.1") for _ in range(4)][-1] > 0
    assert ask("203.0.113.2") == 0


def test_an_ipv6_network_counts_as_one_client() -> None:
    assert [ask(f"2001:db8:0:1::{number}") for number in range(1, 5)][-1] > 0
    assert ask("2001:db8:0:2::1") == 0


def test_a_made_up_forwarding_header_helps_nobody() -> None:
    # The peer itself has a public address, so nothing of ours stands before it.
    assert [ask("8.8.8.8", HTTP_X_FORWARDED_FOR=f"9.9.9.{number}") for number in range(4)][-1] > 0


def test_behind_a_proxy_clients_are_counted_apart() -> None:
    assert [ask("10.0.0.7", HTTP_X_FORWARDED_FOR="9.9.9.9") for _ in range(4)][-1] > 0
    assert ask("10.0.0.7", HTTP_X_FORWARDED_FOR="9.9.9.8") == 0
    # What a client wrote before the proxy's own entry does not make it another client.
    assert ask("10.0.0.7", HTTP_X_FORWARDED_FOR="1.2.3.4, 9.9.9.9") > 0


def test_the_limit_can_be_switched_off(settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {"verification": {"requests_per_minute": None}}
    assert {ask("203.0.113.1") for _ in range(9)} == {0}


def test_the_page_answers_although_the_cache_is_down(settings: Any, client: Any) -> None:
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}}
    assert client.get("/credentials/verify/x").status_code == 404


def test_all_processes_count_together(redis: Redis) -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "service.settings", "CACHE_URL": redis.url}
    command = [sys.executable, "-m", "tests.credentials_config.verification.request_codes", "40", str(MIDDLE)]
    processes = [
        subprocess.Popen(command, env=environment, cwd=host.BASE_DIR, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    statuses = [status for process in processes for status in process.communicate(timeout=120)[0].split()]
    assert (statuses.count("404"), statuses.count("429")) == (60, 60)  # the default is 60 a minute


def test_the_cache_does_not_reveal_client_addresses(settings: Any) -> None:
    """There are only four thousand million addresses: a plain hash of each is soon tried."""
    with_one_key = client_key(RequestFactory().get(ADDRESS, REMOTE_ADDR="203.0.113.7"), scope=SCOPE)
    settings.SECRET_KEY = "another host's"
    assert client_key(RequestFactory().get(ADDRESS, REMOTE_ADDR="203.0.113.7"), scope=SCOPE) != with_one_key
