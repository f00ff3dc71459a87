"""The stand-in for Accredible behaves as Accredible's public reference says. A client that knows nothing of it asks."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from badges.testing.accredible import AccredibleProcess, AccredibleStandIn, RemoteAccredible

Ask = Callable[..., requests.Response]


@pytest.fixture
def accredible() -> Iterator[AccredibleStandIn]:
    with AccredibleStandIn() as standin:
        yield standin


def asking(standin: Any, header: str | None = None) -> Ask:
    """Return what asks the stand-in, with the header as documented."""

    def ask(method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Token token={standin.key}" if header is None else header}
        return requests.request(method, f"{standin.url}/{path}", headers=headers, timeout=10, **options)

    return ask


@pytest.fixture
def ask(accredible: AccredibleStandIn) -> Ask:
    return asking(accredible)


def credential(group: int, email: str = "ada@example.com", **changes: Any) -> dict[str, Any]:
    recipient = {"name": "Ada", "email": email, "id": "earner-17"}
    return {"credential": {"recipient": recipient, "group_id": group, "name": "Engine", **changes}}


def test_a_credential_is_issued_described_changed_and_deleted(accredible: AccredibleStandIn, ask: Ask) -> None:
    group = accredible.add_group(name="Engines").id
    issued = ask("POST", "credentials", json=credential(group, meta_data={"ours": "1"})).json()["credential"]
    assert issued["recipient"]["email"] == "ada@example.com"
    assert (issued["group_id"], issued["approve"], issued["expired_on"]) == (group, True, None)
    assert issued["issued_on"] == dt.datetime.now(dt.UTC).date().isoformat()
    address = f"credentials/{issued['id']}"
    for method, day in (("PATCH", "2030-01-01"), ("PUT", "2031-01-01")):
        changed = ask(method, address, json={"credential": {"expired_on": day}}).json()["credential"]
        assert changed["expired_on"] == ask("GET", address).json()["credential"]["expired_on"] == day
        assert changed["meta_data"] == {"ours": "1"}
    assert ask("DELETE", address).status_code == 200
    assert ask("GET", address).status_code == 404
    assert [each.event_type.partition(".")[2] for each in accredible.events] == [
        "created",
        "updated",
        "updated",
        "deleted",
    ]
    assert accredible.counts == {"issue": 1, "update": 2, "get_credential": 3, "delete": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"credential": {}},
        {"credential": {"recipient": {"name": "Ada"}, "group_id": 1}},
        {"credential": {"recipient": {"name": "Ada", "email": "no address"}, "group_id": 1}},
        credential(1, issued_on="29.02.2024"),
        credential(1, meta_data={"x": 1}),
        credential(2),
        credential(1, name=""),
    ],
)
def test_what_accredible_would_refuse_is_refused(accredible: AccredibleStandIn, ask: Ask, body: Any) -> None:
    accredible.add_group(1)
    assert ask("POST", "credentials", json=body).status_code in (400, 422)
    assert accredible.credentials == []


def test_two_calls_make_two_credentials_only_where_the_group_allows_duplicates(
    accredible: AccredibleStandIn, ask: Ask
) -> None:
    group = accredible.add_group().id
    assert ask("POST", "credentials", json=credential(group)).status_code == 200
    accredible.expire_credential(accredible.credentials[0].id)
    refused = ask("POST", "credentials", json=credential(group, "ADA@example.com"))
    assert (refused.status_code, "duplicates" in refused.text) == (422, True)
    accredible.change_group(group, allows_duplicates=True)
    assert ask("POST", "credentials", json=credential(group)).status_code == 200
    assert len(accredible.credentials) == 2


def test_without_credits_credentials_are_made_and_not_published(accredible: AccredibleStandIn, ask: Ask) -> None:
    group = accredible.add_group(allows_duplicates=True).id
    accredible.set_credits(1)
    answers = [ask("POST", "credentials", json=credential(group)).json() for _ in range(2)]
    assert [answer["credential"]["approve"] for answer in answers] == [True, False]


def test_a_search_filters_pages_and_does_not_tell_everything(accredible: AccredibleStandIn, ask: Ask) -> None:
    group, other = accredible.add_group(allows_duplicates=True).id, accredible.add_group().id
    for number in range(60):
        ask("POST", "credentials", json=credential(group, f"{number % 2}@example.com"))
    ask("POST", "credentials", json=credential(other))
    found = ask("POST", "credentials/search", json={"group_id": str(group)}).json()
    assert (len(found["credentials"]), found["meta"]["next_page"], found["meta"]["total_count"]) == (50, 2, 60)
    last = ask("POST", "credentials/search", json={"group_id": group, "page": 2}).json()
    assert (len(last["credentials"]), last["meta"]["next_page"]) == (10, None)
    assert "approve" not in last["credentials"][0]
    by_email = ask("POST", "credentials/search", json={"group_id": group, "recipient.email": "1@EXAMPLE.com"}).json()
    assert by_email["meta"]["total_count"] == 30
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).date().isoformat()
    later = ask("POST", "credentials/search", json={"start_updated_date": tomorrow}).json()
    assert later["meta"]["total_count"] == 0


def test_accounts_see_only_what_is_theirs(accredible: AccredibleStandIn, ask: Ask) -> None:
    other = accredible.add_organization(name="Other")
    theirs = accredible.add_group(name="Theirs", organization=other.id).id
    assert ask("POST", "credentials", json=credential(theirs)).status_code == 422
    assert ask("GET", f"issuer/groups/{theirs}").status_code == 404
    assert ask("GET", "issuer/all_groups").json()["groups"] == []
    assert ask("GET", "issuer/details").json()["issuer"]["name"] == "Stand-in Academy"


@pytest.mark.parametrize("header", ["", "Token token=wrong", "Basic c3RhbmQtaW4ta2V5Og==", "stand-in-key"])
def test_who_has_no_key_is_refused(accredible: AccredibleStandIn, header: str) -> None:
    assert asking(accredible, header)("GET", "issuer/details").status_code == 401


def test_older_clients_may_send_the_key_as_a_bearer_token(accredible: AccredibleStandIn) -> None:
    assert asking(accredible, f"Bearer {accredible.key}")("GET", "issuer/details").status_code == 200


def test_a_webhook_is_signed_with_its_secret(accredible: AccredibleStandIn, ask: Ask) -> None:
    received: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.headers["X-Accredible-Signature"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    accredible.set_webhook(f"http://127.0.0.1:{server.server_address[1]}/", secret="s")
    ask("POST", "credentials", json=credential(accredible.add_group().id))
    assert accredible.wait_for_webhooks()
    server.shutdown()
    server.server_close()
    ((signature, body),) = received
    assert signature == hmac.new(b"s", body, hashlib.sha256).hexdigest()
    assert b"ada@example.com" not in body


def test_a_process_that_is_killed_keeps_what_it_has_answered(tmp_path: Path) -> None:
    with AccredibleProcess(state=tmp_path / "accredible.sqlite3") as process:
        group = process.add_group(name="Engines").id
        asking(process)("POST", "credentials", json=credential(group))
        process.kill()
        process.start()
        assert [each.recipient_email for each in RemoteAccredible(process.url).credentials] == ["ada@example.com"]
        assert process.counts == {"issue": 1}
