"""A new upload of an asset makes a new version, and an unusable file is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from credentials_config.generators.pdf import samples
from credentials_config.models import CredentialAsset
from tests.admin.pages import errors
from tests.credentials_config.admin.pages import ASSETS, page_of

ADD = f"{ASSETS}add/"
SVG = samples.content(samples.CERTIFICATE)
pytestmark = pytest.mark.django_db


@pytest.fixture
def designer(staff: Callable[..., Any]) -> Any:
    return staff("view_credentialasset", "add_credentialasset")


def upload(client: Any, slug: str, content: bytes, name: str = "paper.svg") -> Any:
    return client.post(ADD, {"slug": slug, "file": SimpleUploadedFile(name, content), "description": "Paper"})


def content_of(asset: CredentialAsset) -> bytes:
    with asset.file.open("rb") as file:
        return file.read()


def test_uploading_again_makes_a_new_version_and_keeps_the_old_one(designer: Any) -> None:
    assert upload(designer, "paper", SVG).status_code == 302
    assert upload(designer, "paper", SVG.replace(b"</svg>", b"<!-- new --></svg>")).status_code == 302
    old, new = CredentialAsset.objects.order_by("version")
    assert (old.version, new.version, old.description) == (1, 2, "Paper")
    assert (content_of(old), b"new" in content_of(new)) == (SVG, True)


def test_the_same_file_again_is_no_new_version(designer: Any) -> None:
    for _ in range(2):
        assert upload(designer, "paper", SVG).status_code == 302
    assert CredentialAsset.objects.count() == 1


def test_the_list_shows_the_newest_and_leads_to_all(designer: Any) -> None:
    for number in range(3):
        CredentialAsset.objects.upload("paper", SVG + b" " * number, name="paper.svg")
    CredentialAsset.objects.upload("seal", SVG, name="seal.svg")
    page = designer.get(ASSETS).content.decode()
    assert (page.count("paper.svg"), page.count("seal.svg")) == (1, 1)
    assert designer.get(f"{ASSETS}?versions=all").content.decode().count("paper.svg") == 3
    newest = CredentialAsset.objects.newest("paper")
    shown = designer.get(page_of(newest)).content.decode()
    assert f'href="{ASSETS}?slug=paper"' in shown
    assert f"{ADD}?slug=paper" in shown
    assert designer.get(f"{ASSETS}?slug=paper").content.decode().count("paper.svg") == 3
    assert 'value="paper"' in designer.get(f"{ADD}?slug=paper").content.decode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("paper.svg", b"<svg"),
        ("paper.png", b"no picture"),
        ("paper.pdf", b"%PDF-1.7 broken"),
        ("font.ttf", b"no font"),
        ("font.ttf", b""),
        ("page.typ", b"\xff\xfe"),
    ],
)
def test_an_unusable_file_is_refused_with_an_error_on_its_field(designer: Any, name: str, content: bytes) -> None:
    page = upload(designer, "paper", content, name)
    assert errors(page)
    assert page.context["adminform"].form.errors.keys() == {"file"}
    assert not CredentialAsset.objects.exists()


def test_a_file_that_is_too_big_is_refused_before_it_is_read(designer: Any, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {"pdf": {"asset_megabytes": 1}}
    page = upload(designer, "list", b"a" * (1024 * 1024 + 1), "list.csv")
    assert errors(page) == ["The file is bigger than 1 MB; make it smaller."]


@pytest.mark.parametrize("slug", ["two words", "a/b", "../x", "ä", "a\0b", "x" * 151, ""])
def test_a_slug_that_options_could_not_name_is_refused(designer: Any, slug: str) -> None:
    page = upload(designer, slug, SVG)
    assert page.context["adminform"].form.errors.keys() == {"slug"}
    assert not CredentialAsset.objects.exists()


def test_a_list_of_learners_is_stored_as_it_is(designer: Any) -> None:
    assert upload(designer, "list", "username\nanna\nжанна\n".encode(), "list.csv").status_code == 302
    assert content_of(CredentialAsset.objects.get()).decode() == "username\nanna\nжанна\n"


def test_versions_are_never_changed_or_deleted(admin_client: Any) -> None:
    asset = CredentialAsset.objects.upload("paper", SVG, name="paper.svg")
    assert "Save" not in admin_client.get(page_of(asset)).content.decode()
    assert admin_client.post(page_of(asset), {"slug": "else"}).status_code == 403
    assert admin_client.post(f"{ASSETS}{asset.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(ASSETS, {"action": "delete_selected", "_selected_action": [asset.pk], "post": "yes"})
    assert CredentialAsset.objects.get().slug == "paper"


def test_a_permission_to_view_uploads_nothing(staff: Callable[..., Any]) -> None:
    client = staff("view_credentialasset")
    asset = CredentialAsset.objects.upload("paper", SVG, name="paper.svg")
    assert upload(client, "paper", SVG + b" ").status_code == 403
    assert client.get(ADD).status_code == 403
    assert "Upload a new version" not in client.get(page_of(asset)).content.decode()
    assert CredentialAsset.objects.count() == 1
