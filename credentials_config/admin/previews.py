"""The preview of a document, with sample data and the options of the form, before anything is saved."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.translation import gettext as _

from badges.exceptions import Permanent, Retryable
from credentials_config import api
from credentials_config.contracts import Document, GenerationError
from credentials_config.models import CredentialType


class PreviewMixin:
    """Adds a preview button to a form with options: the document in a new tab, or the errors."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._preview)
        return [path("preview/", view, name=self.name_of("preview")), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        original = kwargs.get("obj")
        writes = self.has_change_permission(request, original) if original else self.has_add_permission(request)
        context["preview_url"] = reverse(f"admin:{self.name_of('preview')}") if writes else ""
        context["preview_name"] = _("Maria Sample")
        context["preview_context"] = _("Sample course")
        return super().render_change_form(request, context, *args, **kwargs)

    def preview_parts(self, cleaned: dict[str, Any], instance: Any) -> tuple[str, dict[str, Any]] | None:
        """Return the generator's slug and the options from the form; None when the options cannot be read."""
        raise NotImplementedError

    def _preview(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        pk = request.POST.get("preview_of") or None
        instance = self.get_object(request, pk) if pk else None
        form = self.get_form(request, instance, change=instance is not None)(request.POST, instance=instance)
        form.is_valid()
        # Other fields may still be missing or wrong: the preview needs generator and options only.
        parts = self.preview_parts(form.cleaned_data, instance)
        if parts is None:
            return self._problems_page(request, [str(message) for errors in form.errors.values() for message in errors])
        try:
            document = _sample(request, *parts)
        except (GenerationError, Permanent, Retryable) as error:
            return self._problems_page(request, [str(error)])
        response = HttpResponse(document.content, content_type=document.content_type)
        response["Content-Disposition"] = f'inline; filename="preview.{document.extension}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def _problems_page(self, request: HttpRequest, problems: list[str]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("There is no preview"),
            "opts": self.opts,
            "problems": problems,
        }
        return TemplateResponse(request, "admin/lms_credentials_config/problems.html", context, status=422)


def _sample(request: HttpRequest, generator: str, options: dict[str, Any]) -> Document:
    return api.preview(
        CredentialType(generator=generator, options=options),
        {},
        name=request.POST.get("preview_name") or _("Maria Sample"),
        context_name=request.POST.get("preview_context") or _("Sample course"),
        language=translation.get_language() or "",
    )
