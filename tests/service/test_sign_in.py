"""The sign-in page of the reference host."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import authenticate

from service.sign_in import ATTEMPTS_PER_MINUTE, EmailBackend
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def account(**fields: Any) -> Any:
    user = UserFactory(**fields)
    user.set_password("rubber-boat-42")
    user.save()
    return user


def test_an_account_is_found_by_its_username_and_by_its_address() -> None:
    user = account(username="fantasio", email="fantasio@example.org")
    names = ["fantasio", "fantasio@example.org", "Fantasio@Example.org"]
    assert [authenticate(username=name, password="rubber-boat-42") for name in names] == [user] * 3
    assert authenticate(username="fantasio@example.org", password="rubber-boat-43") is None
    assert EmailBackend().authenticate(None, username="f\0@example.org", password="rubber-boat-42") is None


def test_other_accounts_with_the_address_keep_nobody_from_signing_in() -> None:
    user = account(email="fantasio@example.org")
    for _ in range(2):
        other = UserFactory(email="Fantasio@example.org")
        other.set_password("another-boat")
        other.save()
    assert authenticate(username="fantasio@example.org", password="rubber-boat-42") == user
    assert authenticate(username="fantasio@example.org", password="another-boat") is None


@pytest.mark.tables
def test_addresses_are_compared_as_at_registration_on_every_database() -> None:
    user, other = account(email="jose@example.org"), account(email="josé@example.org")
    assert authenticate(username="JOSE@example.org", password="rubber-boat-42") == user
    assert authenticate(username="josé@example.org", password="rubber-boat-42") == other
    assert authenticate(username="ｊｏｓｅ@example.org", password="rubber-boat-42") == user


def test_an_address_and_password_of_two_accounts_or_of_an_inactive_one_open_none() -> None:
    for _ in range(2):
        account(email="shared@example.org")
    account(email="gone@example.org", is_active=False)
    for address in ("shared@example.org", "gone@example.org", "nobody@example.org"):
        assert authenticate(username=address, password="rubber-boat-42") is None


def test_the_page_leads_to_where_somebody_wanted_to_go_and_nowhere_else(client: Any) -> None:
    account(username="fantasio")
    page = client.get("/badges/")
    assert page.headers["Location"] == "/sign-in/?next=/badges/"
    given = {"username": "fantasio", "password": "rubber-boat-42"}
    assert "Sign in with" not in client.get("/sign-in/").content.decode()
    assert client.post("/sign-in/", {**given, "next": "/api/docs/"}).headers["Location"] == "/api/docs/"
    client.post("/sign-out/")
    assert client.post("/sign-in/", {**given, "next": "https://evil.example.org/"}).headers["Location"] == "/badges/"


def test_passwords_cannot_be_tried_fast(client: Any) -> None:
    given = {"username": "fantasio", "password": "wrong"}
    statuses = {client.post("/sign-in/", given).status_code for _ in range(2 * ATTEMPTS_PER_MINUTE + 1)}
    assert statuses == {200, 429}


def test_the_admin_has_no_sign_in_page_of_its_own(client: Any) -> None:
    user = account(username="fantasio")
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == "/sign-in/?next=/admin/"
    given = {"username": "fantasio", "password": "rubber-boat-42"}
    assert client.post("/admin/login/", given).headers["Location"] == "/sign-in/"
    client.force_login(user)
    assert client.get("/admin/", follow=True).status_code == 403
    user.is_staff = True
    user.save()
    assert client.get("/admin/login/").headers["Location"] == "/admin/"


@pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("de", "ltr"), ("es", "ltr"), ("fr", "ltr")])
def test_the_page_is_all_in_the_readers_language_and_says_which(client: Any, language: str, direction: str) -> None:
    english, page = (
        client.get("/sign-in/", headers={"Accept-Language": each}).content.decode() for each in ("en", language)
    )
    assert f'<html lang="{language}" dir="{direction}">' in page
    for words in ("Sign in", "E-mail address or username", "Password"):
        assert words in english
        assert words not in page
    assert '<html lang="en" dir="ltr">' in client.get("/sign-in/", headers={"Accept-Language": "ja"}).content.decode()
