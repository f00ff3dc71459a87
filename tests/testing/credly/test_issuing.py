"""Issuing and revoking: what is written down, what is refused, and who may ask."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests

from badges.testing.credly import CredlyStandIn
from badges.testing.credly.refusals import SHAPES


def test_an_issued_badge_is_answered_with_its_id_and_written_down(credly, template, ask):
    answer = ask.issue(template, issued_to_first_name="祖", issued_to_last_name="冲之", locale="zh-CN")

    assert answer.status_code == 201
    data = answer.json()["data"]
    assert (data["state"], data["issued_to"], data["issued_at"]) == ("pending", "祖 冲之", "2026-03-04T05:06:07.000Z")
    [badge] = credly.badges
    assert (badge.id, badge.state, badge.template_id) == (data["id"], "pending", template.id)
    assert (badge.recipient_email, badge.first_name, badge.last_name) == ("ada@example.com", "祖", "冲之")
    assert (badge.issuer_earner_id, badge.issued_at) == ("earner-17", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    assert badge.request["locale"] == "zh-CN"


def test_the_time_form_of_credlys_examples_is_understood(credly, template, ask):
    assert ask.issue(template, issued_at="2014-04-01 09:41:00 -0500").status_code == 201
    assert credly.badges[0].issued_at == datetime(2014, 4, 1, 14, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipient_email", None),
        ("recipient_email", ""),
        ("recipient_email", "   "),
        ("recipient_email", "ada"),
        ("recipient_email", ["ada@example.com"]),
        ("issued_to_first_name", None),
        ("issued_to_last_name", ""),  # somebody with one name still needs a second one
        ("issued_to_last_name", 7),
        ("issued_at", None),
        ("issued_at", "yesterday"),
        ("issued_at", "2026-03-04T05:06:07"),  # whose time?
        ("badge_template_id", None),
        ("badge_template_id", "algebra"),
        ("badge_template_id", "00000000-0000-4000-8000-000000000000"),  # nobody's
        ("issuer_earner_id", 17),
        ("locale", "tlh"),
        ("suppress_badge_notification_email", "yes"),
        ("expires_at", "never"),
        ("evidence", "a link"),
    ],
)
def test_a_wrong_field_is_refused_by_name_and_nothing_is_issued(client_of, field, value):
    with CredlyStandIn(error_shape="listed") as credly:
        answer = client_of(credly).issue(credly.add_template(), **{field: value})
        badges = credly.badges

    assert answer.status_code == 422
    assert [error["attribute"] for error in answer.json()["data"]["errors"]] == [field]
    assert badges == []


def test_every_missing_field_is_named_at_once():
    with CredlyStandIn(error_shape="listed") as credly:
        address = f"{credly.url}/organizations/{credly.organization}/badges"
        answer = requests.post(address, json={"issued_at": "2026-01-01T00:00:00Z"}, auth=(credly.token, ""), timeout=20)

    assert [error["attribute"] for error in answer.json()["data"]["errors"]] == [
        "recipient_email",
        "issued_to_first_name",
        "issued_to_last_name",
        "badge_template_id",
    ]


def test_refusals_do_not_keep_to_one_shape(template, ask):
    shapes = {frozenset(ask.issue(template, issued_at="never").json()) for _ in SHAPES}
    assert len(shapes) > 2


@pytest.mark.parametrize(
    ("email", "earner"),
    [
        ("ada@example.com", "earner-18"),  # the same address
        ("ADA@Example.com", "earner-18"),  # the same address, shouted
        ("other@example.com", "earner-17"),  # the same learner of ours
        ("ada@example.com", None),
    ],
)
def test_a_second_badge_for_the_same_earner_is_refused(credly, template, ask, email, earner):
    assert ask.issue(template).status_code == 201
    assert ask.issue(template, recipient_email=email, issuer_earner_id=earner).status_code == 422
    assert len(credly.badges) == 1


@pytest.mark.parametrize(
    ("email", "earner"),
    [
        ("other@example.com", "earner-18"),
        ("other@example.com", "Earner-17"),  # ids are exact
        ("other@example.com", None),
    ],
)
def test_a_badge_for_somebody_else_is_no_duplicate(template, ask, email, earner):
    assert ask.issue(template).status_code == 201
    assert ask.issue(template, recipient_email=email, issuer_earner_id=earner).status_code == 201


def test_another_template_is_no_duplicate(credly, template, ask):
    assert ask.issue(template).status_code == 201
    assert ask.issue(credly.add_template(name="Geometry star")).status_code == 201


def test_a_template_may_allow_duplicates(credly, ask):
    template = credly.add_template(allows_duplicates=True)
    assert [ask.issue(template).status_code for _ in range(2)] == [201, 201]


@pytest.mark.parametrize(("strict", "second"), [(False, 201), (True, 422)])
def test_whether_a_revoked_badge_stands_in_the_way_can_be_chosen(client_of, strict, second):
    with CredlyStandIn(revoked_counts_as_duplicate=strict) as credly:
        template, ask = credly.add_template(), client_of(credly)
        credly.revoke_badge(ask.issue(template).json()["data"]["id"])
        assert ask.issue(template).status_code == second


@pytest.mark.parametrize("state", ["draft", "archived"])
def test_only_an_active_template_can_be_issued(credly, ask, state):
    assert ask.issue(credly.add_template(state=state)).status_code == 422
    assert credly.badges == []


def test_a_badge_is_revoked_once(credly, template, ask):
    badge_id = ask.issue(template).json()["data"]["id"]
    reason = {"reason": "A penalty", "suppress_revoke_notification_email": True}

    answer = ask("PUT", f"/badges/{badge_id}/revoke", json=reason)

    assert (answer.status_code, answer.json()["data"]["state"]) == (200, "revoked")
    assert (credly.badges[0].state, credly.badges[0].revoke_reason) == ("revoked", "A penalty")
    assert ask("PUT", f"/badges/{badge_id}/revoke", json=reason).status_code == 422


def test_a_replaced_badge_cannot_be_revoked(credly, template, ask):
    badge_id = ask.issue(template).json()["data"]["id"]
    credly.replace_badge(badge_id)

    assert ask("PUT", f"/badges/{badge_id}/revoke", json={"reason": "A penalty"}).status_code == 422
    assert credly.badges[0].state == "replaced"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic c3RhbmQtaW4tdG9rZW46c2VjcmV0"},  # the token, and a password
        {"Authorization": "Basic c3RhbmQtaW4tdG9rZW4="},  # the token without its colon
        {"Authorization": "Basic d3Jvbmc6"},  # another token
        {"Authorization": "Basic %%%"},
        {"Authorization": "Bearer stand-in-token"},  # the right token at the wrong address
        {"Authorization": "stand-in-token"},
    ],
)
def test_without_the_token_nothing_is_told(credly, headers):
    answer = requests.get(f"{credly.url}/organizations/{credly.organization}", headers=headers, timeout=20)
    assert answer.status_code == 401


def test_the_token_of_one_organization_opens_no_other(credly, ask):
    other = credly.add_organization(token="another-token", name="Elsewhere")
    theirs = f"{credly.url}/organizations/{other.id}"

    assert ask.session.get(theirs, timeout=20).status_code == 404
    answer = requests.get(theirs, auth=("another-token", ""), timeout=20)
    assert (answer.status_code, answer.json()["data"]["name"]) == (200, "Elsewhere")


def test_a_template_of_another_organization_cannot_be_issued(credly, ask):
    other = credly.add_organization()
    assert ask.issue(credly.add_template(organization=other.id)).status_code == 422


def test_a_client_secret_is_exchanged_for_a_token_that_expires(credly):
    grant = {"grant_type": "client_credentials", "client_id": credly.client_id, "client_secret": credly.client_secret}
    answer = requests.post(credly.url.replace("/v1", "/oauth/token"), data=grant, timeout=20)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    assert answer.json()["expires_in"] > 3600

    def status() -> int:
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        address = f"{credly.url}/organizations/{credly.organization}"
        return requests.get(address, headers=bearer, timeout=20).status_code

    assert status() == 200
    credly.expire_access_tokens()
    assert status() == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"client_secret": "wrong"}, 401), ({"grant_type": "password"}, 400), ({"client_id": None}, 401)],
)
def test_a_wrong_grant_gets_no_token(credly, changes, status):
    grant = {"grant_type": "client_credentials", "client_id": credly.client_id, "client_secret": credly.client_secret}
    assert requests.post(f"{credly.url}/oauth/token", json=grant | changes, timeout=20).status_code == status
