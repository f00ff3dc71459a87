"""Everybody may read about a credential where its learner or the host says so, and about no other."""

from __future__ import annotations

import datetime as dt
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges import api
from badges.awarding.models import UserCredential
from badges.common import client_limits
from tests.factories import EXPIRED, NOON, REVOKED, LearnerFactory, UserCredentialFactory, UserFactory, make_template

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

JSON = {"Accept": "application/json"}
SOON = NOON + dt.timedelta(days=6)
LATER = NOON.replace(year=2099)
# The columns of a credential in whose place there is a newer one.
REPLACED = {"status": "replaced", "active_key": None, "valid_until": NOON + dt.timedelta(days=30), "ended_at": SOON}


def address(credential: Any) -> str:
    return f"/badges/credentials/{credential.pk}/"


def shared(**given: Any) -> UserCredential:
    return UserCredentialFactory(is_public=True, **given)


def configure(settings: Any, **pages: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"pages": pages}


def test_the_page_says_what_was_awarded_when_and_by_whom(client: Any, settings: Any) -> None:
    configure(settings, issuer_name="Palombia University", issuer_url="https://palombia.example/")
    template = make_template(
        name="Nest builder", description="Builds nests.", image_url="https://palombia.example/nest.png"
    )
    credential = shared(template=template)
    body = client.get(address(credential), headers=JSON).json()
    assert body == {
        "id": f"http://testserver{address(credential)}",
        "uuid": str(credential.pk),
        "status": "valid",
        "badge": {
            "name": "Nest builder",
            "description": "Builds nests.",
            "image_url": "https://palombia.example/nest.png",
        },
        "issuer": {"name": "Palombia University", "url": "https://palombia.example/"},
        "learner": {"name": ""},
        "awarded_at": "2026-03-14T12:00:00Z",
        "valid_until": None,
        "revoked_at": None,
        "reason": "",
    }
    page = client.get(address(credential)).content.decode()
    for words in ("Nest builder", "Builds nests.", "Palombia University", "March 14, 2026", "This badge is valid."):
        assert words in page


def test_the_address_of_a_badge_does_not_depend_on_who_asks(client: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"public_url": "https://credentials.palombia.example/"}
    credential = shared()
    body = client.get(address(credential), headers=JSON).json()
    assert body["id"] == f"https://credentials.palombia.example{address(credential)}"
    assert body["issuer"] == {"name": "credentials.palombia.example", "url": ""}
    client.force_login(credential.learner.user)
    assert f'value="{body["id"]}"' in client.get("/badges/").content.decode()


def test_a_link_to_the_page_has_a_preview(client: Any, settings: Any) -> None:
    configure(settings, issuer_name='The "Nest" & Co')
    credential = shared(template=make_template(name="<Nest>", image_url="https://palombia.example/nest.png"))
    page = client.get(address(credential)).content.decode()
    assert '<meta property="og:title" content="&lt;Nest&gt;">' in page
    assert f'<meta property="og:url" content="http://testserver{address(credential)}">' in page
    assert '<meta property="og:image" content="https://palombia.example/nest.png">' in page
    assert '<meta property="og:site_name" content="The &quot;Nest&quot; &amp; Co">' in page
    assert "<Nest>" not in page


def test_a_badge_is_private_until_its_learner_shares_it(client: Any) -> None:
    assert client.get(address(UserCredentialFactory())).status_code == 404
    assert client.get(address(shared())).status_code == 200


def test_the_host_may_make_all_badges_public_or_none(client: Any, settings: Any) -> None:
    private, public = UserCredentialFactory(), shared()
    configure(settings, sharing="always")
    assert [client.get(address(each)).status_code for each in (private, public)] == [200, 200]
    for value in ("never", "nobody", None, ["always"]):  # what means nothing makes nothing public
        configure(settings, sharing=value)
        assert [client.get(address(each)).status_code for each in (private, public)] == [404, 404]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_private_badge_answers_as_one_that_does_not_exist(client: Any, accept: str) -> None:
    answers = [
        client.get(f"/badges/credentials/{id}/", headers={"Accept": accept})
        for id in (UserCredentialFactory().pk, uuid.uuid4(), "houba", "%00", "1" * 100, str(shared().pk).upper())
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    headers = [{name: value for name, value in answer.headers.items() if name != "Expires"} for answer in answers]
    assert [each for each in headers if each != headers[0]] == []  # Expires is the second of the answer


@pytest.mark.parametrize(
    "accept",
    [
        *("", ";", "text/html;q=x", "application/*;q=0.1, */*", "a/b/c", "é", "*/*", "image/png"),
        *("a/b; x*=bogus''%41", "a/b; x*=a\0b''%41", "application/json, a/b; x*=punycode''%ff"),
    ],
)
def test_an_odd_accept_header_gets_the_page(client: Any, accept: str) -> None:
    answer = client.get(address(shared()), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_data_is_chosen_by_the_accept_header(client: Any) -> None:
    credential = shared()
    for accept, media_type in [
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
    ]:
        answer = client.get(address(credential), headers={"Accept": accept})
        assert answer.headers["Content-Type"] == media_type
        assert "Accept" in answer.headers["Vary"]


def test_a_revoked_badge_says_why_in_public_and_nothing_else(client: Any) -> None:
    credential = shared(**REVOKED, public_reason="The exam was copied.", internal_reason="Zorglub told us.")
    body = client.get(address(credential), headers=JSON).json()
    assert (body["status"], body["revoked_at"], body["reason"]) == (
        "revoked",
        "2026-03-14T12:00:00Z",
        "The exam was copied.",
    )
    page = client.get(address(credential)).content.decode()
    assert "This badge was revoked." in page
    assert "The exam was copied." in page
    assert "Zorglub" not in page


def test_an_expired_badge_says_so(client: Any) -> None:
    credential = shared(**EXPIRED)
    assert client.get(address(credential), headers=JSON).json()["status"] == "expired"
    assert "This badge has expired." in client.get(address(credential)).content.decode()


def renewed(**given: Any) -> tuple[UserCredential, UserCredential]:
    """Return a public credential that was replaced, and the one that took its place, which gets what is given."""
    old = shared(**REPLACED)
    values = {"awarded_at": SOON, "valid_until": LATER, "is_public": True, "replaces": old, **given}
    return old, UserCredentialFactory(learner=old.learner, template=old.template, **values)


def test_the_old_address_of_a_renewed_badge_says_that_it_is_valid(client: Any) -> None:
    old, _ = renewed()
    body = client.get(address(old), headers=JSON).json()
    assert (body["uuid"], body["status"]) == (str(old.pk), "valid")
    assert (body["awarded_at"], body["valid_until"]) == ("2026-03-14T12:00:00Z", "2099-03-14T12:00:00Z")
    assert "This badge is valid." in client.get(address(old)).content.decode()


def test_the_old_address_follows_each_renewal_without_a_break(client: Any) -> None:
    first, second = renewed(**{**REPLACED, "ended_at": SOON + dt.timedelta(days=9)})
    same = {"learner": first.learner, "template": first.template}
    third = shared(**same, **EXPIRED, replaces=second)
    shared(**same, replaces=third)  # earned again after the end
    shared(learner=first.learner)  # another badge
    body = client.get(address(first), headers=JSON).json()
    assert (body["status"], body["valid_until"]) == ("expired", "2026-03-14T12:00:00Z")


def test_the_old_address_of_a_renewed_badge_that_was_revoked_says_why(client: Any) -> None:
    old, _ = renewed(**REVOKED, public_reason="The exam was copied.")
    body = client.get(address(old), headers=JSON).json()
    assert (body["status"], body["revoked_at"], body["reason"]) == (
        "revoked",
        "2026-03-14T12:00:00Z",
        "The exam was copied.",
    )


def test_the_old_address_tells_nothing_about_a_renewed_badge_that_is_private(client: Any) -> None:
    old, _ = renewed(is_public=False, **REVOKED, public_reason="The exam was copied.")
    body = client.get(address(old), headers=JSON).json()
    assert (body["status"], body["valid_until"]) == ("expired", "2026-03-20T12:00:00Z")
    assert (body["revoked_at"], body["reason"]) == (None, "")


def test_nothing_about_the_learner_is_shown_but_the_name_where_the_host_says_so(client: Any, settings: Any) -> None:
    user = UserFactory(username="spip7", first_name="Spip", last_name="Écureuil", email="spip@palombia.example")
    credential = shared(learner=LearnerFactory(user=user, lms_user_id=987654))
    personal = ("spip7", "Spip", "Écureuil", "palombia.example", "987654", str(credential.learner.uuid))
    for headers in ({}, JSON):
        text = client.get(address(credential), headers=headers).content.decode()
        assert [word for word in personal if word in text] == []
    configure(settings, show_name=True)
    assert client.get(address(credential), headers=JSON).json()["learner"] == {"name": "Spip Écureuil"}
    text = client.get(address(credential)).content.decode()
    assert [word for word in personal if word in text] == ["Spip", "Écureuil"]


def test_a_learner_without_an_account_has_no_name(client: Any, settings: Any) -> None:
    configure(settings, show_name=True)
    credential = shared(learner=LearnerFactory(user=None))
    assert client.get(address(credential), headers=JSON).json()["learner"] == {"name": ""}
    assert "Awarded to" not in client.get(address(credential)).content.decode()


@pytest.mark.parametrize("sharing", ["learner", "always"])
def test_nothing_is_public_about_a_retired_learner(client: Any, settings: Any, sharing: str) -> None:
    configure(settings, sharing=sharing, show_name=True)
    credential = shared()
    api.retire(credential.learner)
    assert client.get(address(credential)).status_code == 404


def test_nothing_is_public_about_an_account_that_the_host_has_retired_before_the_sweep(
    client: Any, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"retirement": {"username_prefix": "retired__user_"}}
    credential = shared(learner=LearnerFactory(user=UserFactory(username="retired__user_7")))
    assert client.get(address(credential)).status_code == 404
    for learner in (LearnerFactory(), LearnerFactory(user=None)):
        assert client.get(address(shared(learner=learner))).status_code == 200


def test_only_reading_is_possible(client: Any) -> None:
    credential = shared()
    assert client.post(address(credential)).status_code == 405
    assert client.head(address(credential)).status_code == 200


def test_no_cache_keeps_a_page_that_may_be_taken_back(client: Any) -> None:
    for id in (shared().pk, uuid.uuid4()):
        answer = client.get(f"/badges/credentials/{id}/")
        assert "no-store" in answer.headers["Cache-Control"]
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert not answer.cookies


def test_too_many_requests_of_one_client_are_refused(
    client: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(settings, public_requests_per_minute=2)
    monkeypatch.setattr(client_limits, "time", SimpleNamespace(time=lambda: 1_800_000_015.0))
    page = address(shared())
    assert [client.get(page, REMOTE_ADDR="203.0.113.1").status_code for _ in range(3)] == [200, 200, 429]
    answer = client.get(page, REMOTE_ADDR="203.0.113.1", headers=JSON)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "45")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get(page, REMOTE_ADDR="203.0.113.2").status_code == 200
    configure(settings, public_requests_per_minute=None)
    assert client.get(page, REMOTE_ADDR="203.0.113.1").status_code == 200


def test_a_page_costs_one_statement_and_that_of_a_renewed_badge_two(client: Any) -> None:
    page = address(shared(awarded_at=NOON - dt.timedelta(days=1)))
    for headers in ({}, JSON):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page, headers=headers).status_code == 200
        assert len(queries) == 1
    old, _ = renewed()
    with CaptureQueriesContext(connection) as queries:
        client.get(address(old))
    assert len(queries) == 2
    with CaptureQueriesContext(connection) as queries:
        client.get("/badges/credentials/houba/")
    assert len(queries) == 0
