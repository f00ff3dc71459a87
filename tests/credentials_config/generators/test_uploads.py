"""Assets: a version for each upload, never changed, and looked at before they are stored."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import samples
from credentials_config.generators.pdf.uploads import upload_errors
from credentials_config.models.asset import CredentialAsset, StoredAssets
from tests.credentials_config.generators.documents import NOTO, png


@pytest.fixture
def storage(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("certificate.svg", samples.content(samples.CERTIFICATE)),
        ("certificate.typ", samples.content(samples.TYPST)),
        ("seal.PNG", png(9, 9)),
        ("brand.ttf", (NOTO / "NotoSerif-Bold.ttf").read_bytes()),
        ("learners.csv", b"ada\ngrace\n"),
    ],
)
def test_good_files_have_no_errors(name, content):
    assert upload_errors("it", name, content) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("seal.png", png(9, 9)[:50], "cannot be used as a picture"),
        ("paper.pdf", b"%PDF-1.4 nothing", "no PDF that can be read"),
        ("paper.pdf", b"", "empty file"),
        ("paper.svg", b"<svg>" + b" " * 50 * 1024**2, "bigger than 20 MB"),
        ("brand.ttf", b"", "empty file"),
        ("brand.ttf", b"nothing", "no font that can be read"),
        ("own.typ", b"\xff\xfe", "UTF-8"),
        ("own.typ", b" \n", "empty file"),
    ],
)
def test_errors_name_the_asset_and_the_remedy(name, content, message):
    (error,) = upload_errors("the-asset", name, content)
    assert message in error
    assert "'the-asset'" in error


@pytest.mark.tables
@pytest.mark.django_db
def test_uploading_again_makes_a_new_version_and_leaves_the_old_one(storage):
    first = CredentialAsset.objects.upload("seal", b"one", name="seal.png", description="our seal")
    second = CredentialAsset.objects.upload("seal", ContentFile(b"two"), name="seal.png")
    other = CredentialAsset.objects.upload("paper", b"two", name="paper.svg")
    assert [(a.slug, a.version, a.file_name) for a in (first, second, other)] == [
        ("seal", 1, "seal.png"),
        ("seal", 2, "seal.png"),
        ("paper", 1, "paper.svg"),
    ]
    assert (storage / CredentialAsset.objects.get(pk=first.pk).file.name).read_bytes() == b"one"
    assert CredentialAsset.objects.newest("seal") == second


@pytest.mark.tables
@pytest.mark.django_db
def test_the_same_file_again_is_the_same_version(storage):
    first = CredentialAsset.objects.upload("seal", b"one", name="seal.png")
    assert CredentialAsset.objects.upload("seal", b"one", name="seal.png") == first
    # Under another name it is another kind of file.
    assert CredentialAsset.objects.upload("seal", b"one", name="seal.svg").version == 2


@pytest.mark.django_db
def test_assets_are_read_in_one_version(storage):
    CredentialAsset.objects.upload("seal", b"one", name="seal.png")
    assets = StoredAssets()
    assert (assets.version("seal"), assets.file_name("seal")) == (1, "seal.png")
    CredentialAsset.objects.upload("seal", b"two", name="seal.png")
    assert (assets.read("seal"), assets.version("seal")) == (b"one", 1)
    assert (StoredAssets().read("seal"), StoredAssets().version("seal")) == (b"two", 2)


@pytest.mark.django_db
def test_what_cannot_be_read_names_the_asset_and_the_remedy(storage):
    asset = CredentialAsset.objects.upload("seal", b"one", name="seal.png")
    with pytest.raises(GenerationError, match="no asset 'sael'; upload it"):
        StoredAssets().read("sael")
    with pytest.raises(GenerationError, match="'seal' is bigger than 0 MB"):
        StoredAssets(most_bytes=2).read("seal")
    (storage / asset.file.name).write_bytes(b"forged")
    with pytest.raises(GenerationError, match="'seal' was changed in the storage"):
        StoredAssets().read("seal")
    (storage / asset.file.name).unlink()
    with pytest.raises(GenerationError, match="'seal' is gone from the storage") as caught:
        StoredAssets().read("seal")
    assert caught.value.everyone


@pytest.mark.django_db
def test_uploads_at_the_same_time_leave_each_others_files_alone_where_the_storage_overwrites(settings, tmp_path):
    place = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    place["OPTIONS"] = {"location": str(tmp_path), "allow_overwrite": True}  # as object stores do
    settings.STORAGES = {**settings.STORAGES, "default": place}
    stored = CredentialAsset.objects.upload("seal", b"one", name="seal.png")
    late = CredentialAsset(slug="seal", version=1)
    late.file.save("seal.png", ContentFile(b"two"), save=False)
    assert StoredAssets().read("seal") == b"one"
    late.file.delete(save=False)
    assert StoredAssets().read("seal") == b"one"
    assert stored.file_name == "seal.png"
