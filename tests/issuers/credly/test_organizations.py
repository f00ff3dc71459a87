"""Checking an organization while it is entered."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from badges.issuers.credly.models import CredlyOrganization
from badges.issuers.credly.organizations import check_organization
from badges.testing.credly import CredlyStandIn


def test_a_right_token_brings_the_organizations_name(credly: CredlyStandIn) -> None:
    assert check_organization(credly.organization, f" {credly.token}\n") == "Stand-in Academy"


@pytest.mark.parametrize(
    ("organization", "token", "code"),
    [
        (None, "wrong", "token"),
        (None, "  ", "token"),
        (None, "пароль", "token"),
        ("5d1f0a36-4a3c-4f1a-8c39-0f3a1c0b7e11", None, "uuid"),
        ("../users", None, "uuid"),
    ],
)
def test_an_error_belongs_to_a_field(
    credly: CredlyStandIn, organization: str | None, token: str | None, code: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        check_organization(organization or credly.organization, token or credly.token)
    assert refused.value.code == code
    assert refused.value.messages[0]


@pytest.mark.parametrize("failure", ["refuse", "throttle", "break_down", "redirect", "not json", "bad address"])
def test_when_credly_cannot_be_asked_no_field_is_blamed(credly: CredlyStandIn, settings: Any, failure: str) -> None:
    if failure == "redirect":
        credly.answer(status=302, headers={"Location": "http://127.0.0.2:9/"})
    elif failure == "not json":
        credly.answer(status=200, body="<html>")
    elif failure == "bad address":
        settings.LMS_BADGES_CONFIG["credly"]["CREDLY_API_BASE_URL"] = "credly"
    else:
        getattr(credly, failure)()
    with pytest.raises(ValidationError) as refused:
        check_organization(credly.organization, credly.token)
    assert refused.value.code == "unavailable"
    assert "Credly could not be asked" in refused.value.messages[0] or "Credly refused" in refused.value.messages[0]


@pytest.mark.parametrize("body", ["null", "[]", '{"data": null}', '{"data": {"name": null}}'])
def test_an_organization_may_have_no_name(credly: CredlyStandIn, body: str) -> None:
    credly.answer(status=200, body=body)
    assert check_organization(credly.organization, credly.token) == ""


def test_a_token_is_not_shown_by_the_model() -> None:
    organization = CredlyOrganization(name="Analytical Society")
    organization.token = "very-secret"
    assert organization.token == "very-secret"
    assert "very-secret" not in f"{organization!r} {organization} {vars(organization)}"
    organization.token = ""
    assert organization.encrypted_token == ""
