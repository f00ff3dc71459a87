"""Assets: the files that documents are made from."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import ContentFile, File
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _

from badges.fields import KeyField
from credentials_config.contracts import GenerationError

# Uploads at the same time choose the same next version, and only one gets it. The others try again.
_TRIES = 5


def _asset_path(asset: CredentialAsset, filename: str) -> str:
    """
    Return a new path for every upload.

    Two uploads at the same time choose the same version, and object stores overwrite a file of the same name. The
    upload that does not get the version removes its file, which must not be the file of the other one.
    """
    return f"credential_assets/{asset.slug}/{asset.version}/{secrets.token_hex(4)}/{filename}"


class AssetManager(models.Manager["CredentialAsset"]):
    """Finds the newest version of an asset, and adds versions."""

    def newest(self, slug: str) -> CredentialAsset | None:
        """Return the newest version, from which documents are made; None when there is no such asset."""
        return self.filter(slug=slug).order_by("-version").first()

    def upload(self, slug: str, content: bytes | File[Any], *, name: str, description: str = "") -> CredentialAsset:
        """
        Store a file as the next version of an asset, and return it. The newest version's own file makes no new one.

        ``name`` is the file's name; its extension tells what the file is.
        """
        file = ContentFile(content) if isinstance(content, bytes) else content
        checksum = _checksum(file.chunks())
        for tries_left in reversed(range(_TRIES)):
            newest = self.newest(slug)
            if newest is not None and newest.checksum == checksum and newest.file_name == PurePosixPath(name).name:
                return newest
            version = newest.version + 1 if newest else 1
            asset = self.model(slug=slug, version=version, description=description, checksum=checksum)
            file.seek(0)
            try:
                with transaction.atomic(using=self.db):
                    asset.file.save(PurePosixPath(name).name, file, save=False)
                    asset.save(force_insert=True, using=self.db)
            except IntegrityError:
                asset.file.delete(save=False)
                if not tries_left:
                    raise
            else:
                return asset
        raise AssertionError("unreachable")


class CredentialAsset(models.Model):
    """
    One version of an asset: a template, image, font or list of learners.

    Staff upload it (``objects.upload``). Options name the asset by its ``slug``. Uploading under the same slug writes a
    new row with the next version, and documents are made from the newest. A row is never changed or deleted, so
    that an issued credential knows what it was made from (``Credential.made_from``).

    .. no_pii:
    """

    slug = KeyField(_("slug"), max_length=150)
    version = models.PositiveIntegerField(_("version"), default=1)
    description = models.CharField(_("description"), max_length=255, blank=True)
    file = models.FileField(_("file"), upload_to=_asset_path, max_length=500)
    checksum = KeyField(_("SHA-256"), max_length=64, editable=False, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = AssetManager()

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_lms_credentials_config_credentialasset", "Can view credential assets"),
            ("add_lms_credentials_config_credentialasset", "Can add credential assets"),
        ]
        verbose_name = _("credential asset")
        verbose_name_plural = _("credential assets")
        ordering = ("slug", "-version")
        constraints = (models.UniqueConstraint(fields=["slug", "version"], name="lms_cc_asset_version"),)

    def __str__(self) -> str:
        return f"{self.slug} v{self.version}"

    @property
    def file_name(self) -> str:
        """The name of the uploaded file, as the storage kept it. Its extension tells what the file is."""
        return PurePosixPath(self.file.name or "").name


class StoredAssets:
    """
    The assets for generators and processors, by slug, each in its newest version.

    An object reads the version of an asset once. Later reads give the same version, so that the content and the version
    that is recorded fit together. ``most_bytes``: bigger files are refused.
    """

    def __init__(self, *, most_bytes: int | None = None):
        self._most = most_bytes
        self._rows: dict[str, CredentialAsset] = {}

    def read(self, slug: str) -> bytes:
        """Return the content of the file. Raises GenerationError, with the remedy, when it is missing or unusable."""
        row = self._row(slug)
        try:
            if self._most is not None and row.file.size > self._most:
                raise GenerationError(
                    f"The asset {slug!r} is bigger than {self._most // 1024**2} MB; upload a smaller file",
                    everyone=True,
                )
            with row.file.open("rb") as file:
                content = file.read()
        except FileNotFoundError as error:
            raise GenerationError(
                f"The file of asset {slug!r} is gone from the storage ({row.file.name}); upload it again", everyone=True
            ) from error
        if not content:
            raise GenerationError(f"The asset {slug!r} is an empty file; upload it again", everyone=True)
        if row.checksum and hashlib.sha256(content).hexdigest() != row.checksum:
            raise GenerationError(
                f"The file of asset {slug!r} was changed in the storage; upload it again", everyone=True
            )
        return content

    def file_name(self, slug: str) -> str:
        """Return the name of the uploaded file."""
        return self._row(slug).file_name

    def version(self, slug: str) -> int:
        """Return the version that ``read`` gives."""
        return self._row(slug).version

    def _row(self, slug: str) -> CredentialAsset:
        if slug not in self._rows:
            row = CredentialAsset.objects.newest(slug)
            if row is None:
                raise GenerationError(
                    f"There is no asset {slug!r}; upload it under this slug, or correct the options", everyone=True
                )
            self._rows[slug] = row
        return self._rows[slug]


def _checksum(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
