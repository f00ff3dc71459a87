"""The HTTP client with a service that behaves badly: what may have happened, who has to act, and who sees the token."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from requests.auth import HTTPBasicAuth

from badges.common.http import MAX_ANSWER_BYTES, HttpApi, NoAnswer, Refused, Remedies, is_within, linked_address
from badges.exceptions import Permanent
from badges.issuers import answers
from badges.testing.credly import CredlyStandIn

ORG_PATH = "organizations/{}"
BASE = "https://api.example.com:8443/v1/"


@pytest.fixture
def provider() -> Iterator[CredlyStandIn]:
    with CredlyStandIn() as stand_in:
        yield stand_in


def api_of(url: str, token: str = "stand-in-token", timeout: float = 1) -> HttpApi:
    auth = HTTPBasicAuth(token, "")
    remedies = Remedies(address="Correct LMS_BADGES_CONFIG.", access="Check the key.", not_found="Check the key.")
    return HttpApi(
        "Provider (organization 7)",
        url,
        auth=auth,
        timeout=timeout,
        remedies=remedies,
        read_error=answers.error_text,
    )


@pytest.fixture
def api(provider: CredlyStandIn) -> HttpApi:
    return api_of(provider.url)


def ask(api: HttpApi, method: str = "get", path: str | None = None) -> Any:
    path = path or ORG_PATH.format("c0ffee00-0000-4000-8000-00000000c4ed")
    return api.get(path) if method == "get" else api.post(f"{path}/badges", {"recipient_email": "ada@example.com"})


@contextmanager
def server(answer: bytes, *, endless: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives the same bytes to everybody, perhaps without an end, and keeps what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                received.append(connection.recv(65536))
                try:
                    connection.sendall(answer)
                    while endless and not over.wait(0.1):
                        connection.sendall(endless)
                except OSError:
                    pass  # the client had enough

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_good_answer_is_its_json(api: HttpApi) -> None:
    assert ask(api)["data"]["name"] == "Stand-in Academy"


@pytest.mark.parametrize("method", ["get", "post"])
def test_refused_connections_mean_that_nothing_happened(provider: CredlyStandIn, api: HttpApi, method: str) -> None:
    provider.refuse()
    with pytest.raises(NoAnswer, match="cannot be reached") as failed:
        ask(api, method)
    assert (failed.value.uncertain, failed.value.circuit) == (False, True)


@pytest.mark.parametrize(("method", "uncertain"), [("get", False), ("post", True)])
@pytest.mark.parametrize("failure", ["drop", "slow", "broken", "garbled"])
def test_a_lost_answer_leaves_open_whether_a_change_was_made(
    provider: CredlyStandIn, api: HttpApi, method: str, uncertain: bool, failure: str
) -> None:
    if failure == "drop":
        provider.drop(on="all")
    elif failure == "slow":
        provider.slow_down(2.5)
    elif failure == "broken":
        provider.break_down(status=502)
    else:
        provider.answer(status=200, body='{"data": ')
    with pytest.raises(NoAnswer) as failed:
        ask(api, method)
    assert (failed.value.uncertain, failed.value.circuit) == (uncertain, True)
    assert "organization 7" in str(failed.value)


def test_too_many_requests_wait_as_long_as_the_provider_says(provider: CredlyStandIn, api: HttpApi) -> None:
    provider.throttle(retry_after=17)
    with pytest.raises(NoAnswer, match="429") as failed:
        ask(api, "post")
    # The provider works and only we are too fast, so this is no failure of the provider.
    assert (failed.value.uncertain, failed.value.circuit, failed.value.retry_after) == (False, False, 17)


def test_a_broken_provider_may_say_when_to_come_back(provider: CredlyStandIn, api: HttpApi) -> None:
    provider.answer(status=503, headers={"Retry-After": "40"})
    with pytest.raises(NoAnswer) as failed:
        ask(api)
    assert failed.value.retry_after == 40


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "Check the key."), (403, "Check the key."), (404, "Check the key."), (422, "wrong shoe size")],
)
def test_a_refusal_names_the_remedy_or_what_is_wrong(
    provider: CredlyStandIn, api: HttpApi, status: int, words: str
) -> None:
    provider.answer(status=status, body='{"errors": {"shoe": "x"}, "message": "wrong shoe size"}')
    with pytest.raises(Refused, match=words) as refused:
        ask(api, "post")
    assert refused.value.status == status
    assert "wrong shoe size" in str(refused.value)


def test_redirects_are_not_followed_to_where_the_token_is_not_meant_for(provider: CredlyStandIn, api: HttpApi) -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (elsewhere, received):
        for status in (301, 302, 303, 307, 308):
            provider.answer(status=status, headers={"Location": elsewhere})
            with pytest.raises(Refused, match="redirects"):
                ask(api)
    assert received == []


def test_a_list_is_not_continued_on_another_host(provider: CredlyStandIn, api: HttpApi) -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (elsewhere, received):
        provider.link_elsewhere(f"{elsewhere}/v1/badges?page=2")
        pages = api.pages(f"{ORG_PATH.format(provider.organization)}/badge_templates", answers.next_link)
        assert next(pages)["data"] == []
        with pytest.raises(Permanent, match="another address"):
            next(pages)
    assert received == []


def test_a_list_is_read_page_by_page(provider: CredlyStandIn, api: HttpApi) -> None:
    for number in range(120):
        provider.add_template(name=f"Badge {number}")
    pages = api.pages(
        f"{ORG_PATH.format(provider.organization)}/badge_templates", answers.next_link, filter="state::active"
    )
    assert [len(page["data"]) for page in pages] == [50, 50, 20]


def test_an_answer_that_is_too_big_is_not_read_to_its_end(provider: CredlyStandIn, api: HttpApi) -> None:
    provider.answer(status=200, body='"' + "x" * MAX_ANSWER_BYTES + '"')
    with pytest.raises(NoAnswer):
        ask(api)


def test_an_answer_that_ends_too_early_is_none() -> None:
    cut_off = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\n{}"
    with server(cut_off) as (url, _), pytest.raises(NoAnswer) as failed:
        ask(api_of(url, timeout=0.5), "post")
    assert (failed.value.uncertain, failed.value.circuit) == (True, True)


def test_an_answer_that_trickles_is_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server(head, endless=b"1\r\n \r\n") as (url, _), pytest.raises(NoAnswer, match="in time"):
        ask(api_of(url, timeout=0.5))


@pytest.mark.parametrize(
    "address", ["no-address", "ftp://example.com/", "http://[::1/", "http://exa mple/", "", "http://"]
)
def test_an_unusable_address_names_the_setting(address: str) -> None:
    with pytest.raises(Permanent, match="LMS_BADGES_CONFIG"):
        ask(api_of(address))


def test_cookies_are_not_carried_from_one_call_to_the_next() -> None:
    with server(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}") as (
        url,
        received,
    ):
        api = api_of(url)
        ask(api)
        ask(api)
    assert len(received) == 2
    assert b"ookie" not in received[1]


def test_neither_the_token_nor_the_learner_is_logged(provider: CredlyStandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api = api_of(provider.url, token="very-secret-token")
    body = {"recipient_email": "ada@example.com", "issued_to_last_name": "Lovelace"}
    with pytest.raises(Refused) as refused:
        api.post(f"{ORG_PATH.format(provider.organization)}/badges", body, private=list(body.values()))
    assert "401" in str(refused.value)
    assert caplog.records
    for private in ("very-secret-token", "dmVyeS1zZWNyZXQtdG9rZW4", "ada@example.com", "Lovelace"):
        assert private not in caplog.text


def test_the_address_of_a_request_is_in_no_log_since_it_may_name_people(
    provider: CredlyStandIn, api: HttpApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Refused):
        api.get("accounts", username="fantasio")
    assert "Provider (organization 7) GET: 404" in caplog.text
    assert "fantasio" not in caplog.text
    requests.get(f"{provider.url}/accounts?username=spirou", timeout=5)  # what others ask is theirs to decide
    assert "spirou" in caplog.text


def test_connections_stay_open_between_calls(provider: CredlyStandIn, api: HttpApi) -> None:
    ask(api)
    provider.drop(on="organization", carried_out=False)
    with pytest.raises(NoAnswer):
        ask(api)
    assert ask(api)["data"]["name"]  # a connection that was cut is replaced


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (f"{BASE}things?page=2", f"{BASE}things?page=2"),
        ("/v1/things?page=2", f"{BASE}things?page=2"),
        ("?page=2", f"{BASE}things?page=2"),
    ],
)
def test_the_next_page_is_followed_on_the_same_server(link: str, expected: str) -> None:
    assert linked_address(f"{BASE}things", link, base=BASE) == expected


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example.com:8443/v1/things",
        "https://api.example.com.evil.test:8443/v1/things",
        "http://api.example.com:8443/v1/things",
        "https://api.example.com/v1/things",
        "//evil.example.com/v1/things",
        "https://user@api.example.com:8443/v1/things",
        "https://api.example.com:8443/v2/things",
        "https://api.example.com:8443/v1/../admin",
        "https://api.example.com:8443/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/%252e%252e/admin",
        "/v1/things%2f..%2f..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/%2525252525252e/admin",
        "javascript:alert(1)",
    ],
)
def test_the_next_page_is_never_looked_for_elsewhere(link: str) -> None:
    with pytest.raises(ValueError, match="another address"):
        linked_address(f"{BASE}things", link, base=BASE)
    assert not is_within(link, base=BASE)
