"""The base class of the pages: buttons, which need a POST request and the permission to change the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path

from badges.common.admin import LongTableAdmin, ReadOnlyMixin, admin_url

APP = "lms_credentials_config"


class Page(LongTableAdmin):
    """
    A page of this app, with ``buttons``: names of methods, and parts of URLs.

    Each needs the permission of its own name, or of the verb that ``verbs`` has for it.
    """

    buttons: ClassVar[Sequence[str]] = ()
    verbs: ClassVar[Mapping[str, str]] = {}

    class Media:
        css = {"all": [f"{APP}/admin.css"]}

    def get_urls(self) -> list[URLPattern]:
        buttons = [
            path(f"<path:object_id>/{name}/", self._button(name), name=self.name_of(name)) for name in self.buttons
        ]
        return [*buttons, *super().get_urls()]

    def name_of(self, button: str) -> str:
        """Return the name of a button's URL."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{button}"

    def back_to(self, row: Model) -> HttpResponseRedirect:
        """Redirect to a row's page after one of its buttons was used."""
        return HttpResponseRedirect(admin_url(row))

    def _button(self, name: str) -> Callable[..., HttpResponse]:
        method = getattr(self, name)

        @wraps(method)
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            if not self.may(request, self.verbs.get(name, name)):
                raise PermissionDenied
            row = self.get_object(request, object_id)
            if row is None:
                raise Http404
            return method(request, row)

        return self.admin_site.admin_view(view)


class ReadOnlyPage(ReadOnlyMixin, Page):
    """A page of rows that nobody writes by hand."""
