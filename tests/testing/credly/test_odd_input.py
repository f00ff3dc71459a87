"""What a confused or hostile client sends: a clear no, never a 500, and nothing issued."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _nothing_is_issued(credly):
    yield
    assert credly.badges == []


def raw_get(credly, path: str) -> int:
    """Ask for exactly this path; requests would tidy it."""
    key = requests.auth._basic_auth_str(credly.token, "")
    with socket.create_connection(("127.0.0.1", urlsplit(credly.url).port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
        return int(connection.recv(4096).split()[1])


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"issued_at": NaN}',
        b"\xff\xfe",
        b'{"recipient_email": "\\ud800"}',  # half a character
        b"[" * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"recipient_email=ada%40example.com",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(ask, body):
    assert ask("POST", "/badges", data=body, headers=JSON).status_code in (400, 422)


def test_a_form_is_not_taken_for_json(ask):
    assert ask("POST", "/badges", data={"recipient_email": "ada@example.com"}).status_code == 400


def test_a_body_of_ten_megabytes_is_refused_and_the_server_lives_on(credly, template, ask):
    answer = ask("POST", "/badges", data=b"{" + b" " * 10_000_000 + b"}", headers=JSON)
    assert answer.status_code == 413
    assert ask("GET").status_code == 200
    assert credly.calls[0].status == 413
    assert credly.calls[0].body == ""


def test_a_body_without_a_length_is_refused(ask):
    assert ask("POST", "/badges", data=iter([b"{}"]), headers=JSON).status_code == 411


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "²", "9" * 40])
def test_a_length_that_is_no_number_is_refused(credly, length):
    with socket.create_connection(("127.0.0.1", urlsplit(credly.url).port), timeout=20) as connection:
        connection.sendall(f"POST /v1/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_an_unknown_organization_is_not_found(credly, ask):
    for organization in ("00000000-0000-4000-8000-000000000000", "not-a-uuid", "%00", "\u202e"):
        answer = ask.session.get(f"{credly.url}/organizations/{organization}/badges", timeout=20)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "path", ["/badges/not-a-uuid", "/badges/00000000-0000-4000-8000-000000000000", "/events/1 OR 1=1"]
)
def test_an_unknown_id_is_not_found(ask, path):
    assert ask("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/badges"), ("POST", ""), ("PATCH", "/events"), ("GET", "/badges/{id}/revoke")]
)
def test_another_verb_is_not_allowed(ask, method, path):
    path = path.format(id="00000000-0000-4000-8000-000000000000")
    assert ask(method, path).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../../etc/passwd",
        "/v1/organizations/../../../../etc/passwd",
        "/v1/%2e%2e/%2e%2e/etc/passwd",
        "/v1/organizations/%00",
        "//etc/passwd",
        "http://[",
        "*",
        "/?filter=%FF%FE",
    ],
)
def test_a_path_leads_nowhere_but_to_the_endpoints(credly, path):
    assert raw_get(credly, path) == 404


def test_dots_in_a_path_walk_to_another_endpoint_as_they_do_behind_a_proxy(credly, ask):
    """So a client that puts an unchecked id into its path can be caught at it."""
    template = credly.add_template()
    path = f"/v1/organizations/{credly.organization}/events/..%2Fbadge_templates/{template.id}"

    assert raw_get(credly, path) == 200

    assert [call.endpoint for call in credly.calls] == ["template"]
    assert credly.calls[0].path == path


def test_half_a_request_does_not_stop_the_others(credly, ask):
    with socket.create_connection(("127.0.0.1", urlsplit(credly.url).port), timeout=20) as connection:
        connection.sendall(b"POST /v1/oauth/token HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert ask("GET").status_code == 200


def test_a_head_of_bytes_that_are_no_http_gets_an_error(credly, ask):
    with socket.create_connection(("127.0.0.1", urlsplit(credly.url).port), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        assert b"400" in connection.recv(4096)
    assert ask("GET").status_code == 200
