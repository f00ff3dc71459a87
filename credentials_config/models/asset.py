"""What documents are made from."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from badges.fields import KeyField


def _asset_path(asset: CredentialAsset, filename: str) -> str:
    """A new place for every version, so that no version ever overwrites another."""
    return f"credential_assets/{asset.slug}/{asset.version}/{filename}"


class CredentialAsset(models.Model):
    """
    One version of a template, image or font.

    ``slug`` names the asset in options; uploading again makes a new version, and documents are made from the newest. A
    row is never changed, so that an issued credential knows what it was made from (``Credential.made_from``).

    .. no_pii:
    """

    slug = KeyField(_("slug"), max_length=150)
    version = models.PositiveIntegerField(_("version"), default=1)
    description = models.CharField(_("description"), max_length=255, blank=True)
    file = models.FileField(_("file"), upload_to=_asset_path, max_length=500)
    checksum = KeyField(_("SHA-256"), max_length=64, editable=False, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("credential asset")
        verbose_name_plural = _("credential assets")
        ordering = ("slug", "-version")
        constraints = (models.UniqueConstraint(fields=["slug", "version"], name="lms_cc_asset_version"),)

    def __str__(self) -> str:
        return f"{self.slug} v{self.version}"
