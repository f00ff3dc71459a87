"""The admin of assets: templates, images, fonts and lists. A new upload is a new version; no version is changed."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.common.admin import link_to_list
from credentials_config.admin.pages import Page
from credentials_config.conf import config
from credentials_config.generators.pdf import uploads
from credentials_config.models import CredentialAsset

_SLUG = re.compile(r"[\w.-]+", re.ASCII)


class AssetForm(forms.ModelForm):  # type: ignore[type-arg]
    """The upload of a file, with the slug that options use for it."""

    class Meta:
        model = CredentialAsset
        fields = ["slug", "file", "description"]
        help_texts = {
            "slug": gettext_lazy(
                "The name that options use. If the slug exists already, the file becomes its new version."
            ),
            "file": gettext_lazy(
                "A template (PDF, PNG, JPEG, SVG, .typ), an image, a font (TTF, OTF), or a list of learners (CSV)."
            ),
        }

    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if not _SLUG.fullmatch(slug):
            raise ValidationError(_("Write it with letters without accents, digits, dots, hyphens and underscores."))
        return slug

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        most = int(config.pdf["asset_megabytes"])
        if file.size > most * 1024 * 1024:
            raise ValidationError(_("The file is bigger than %(most)d MB; make it smaller.") % {"most": most})
        return file

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "slug" in cleaned and "file" in cleaned:
            file = cleaned["file"]
            for fault in uploads.upload_errors(cleaned["slug"], file.name, file.read()):
                self.add_error("file", fault)
            file.seek(0)
        return cleaned


class _Versions(admin.SimpleListFilter):
    title = gettext_lazy("versions")
    parameter_name = "versions"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", _("All"))]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            if choice["query_string"] == changelist.get_query_string(remove=[self.parameter_name]):
                choice["display"] = _("The newest of each")
            yield choice

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "all" or "slug" in request.GET:
            return queryset
        newer = CredentialAsset.objects.filter(slug=OuterRef("slug"), version__gt=OuterRef("version"))
        return queryset.filter(~Exists(newer))


@admin.register(CredentialAsset)
class CredentialAssetAdmin(Page):
    """Lists the newest versions, from which documents are made. Older ones stay, since issued documents name them."""

    form = AssetForm
    change_form_template = "admin/lms_credentials_config/credentialasset/change_form.html"
    list_display = ("slug", "version", "file_name", "description", "created_at")
    list_filter = (_Versions,)
    search_fields = ("slug", "description")
    ordering = ("slug", "-version")
    readonly_on_page: ClassVar = ("slug", "version", "download", "description", "checksum", "created_at", "versions")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_on_page if obj else ("slug", "file", "description")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_on_page if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CredentialAsset, form: Any, change: bool) -> None:
        cleaned = form.cleaned_data
        stored = CredentialAsset.objects.upload(
            cleaned["slug"], cleaned["file"], name=cleaned["file"].name, description=cleaned["description"]
        )
        obj.pk = stored.pk
        obj.refresh_from_db()

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        asset = kwargs.get("obj")
        if asset is not None and self.has_add_permission(request):
            context["lms_cc_upload"] = urlencode({"slug": asset.slug, "description": asset.description})
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=gettext_lazy("file"))
    def download(self, asset: CredentialAsset) -> SafeString:
        return format_html('<a href="{}" rel="noreferrer">{}</a>', asset.file.url, asset.file_name)

    @admin.display(description=gettext_lazy("other versions"))
    def versions(self, asset: CredentialAsset) -> SafeString:
        return link_to_list(CredentialAsset, _("all versions"), slug=asset.slug)
