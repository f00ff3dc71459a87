"""
The sections of a template's page. Each part of a template registers its own.

The page asks every section for its rows (an inline), for its part of the document that is saved, for links, and for
what it shows below the rows. So a new part of a template adds a section and changes nothing here::

    @register
    class IssuersSection(TemplateSection):
        order = 40
        inline = IssuerInline

        def write(self, document, formset):
            document["issuers"] = [form.document() for form in formset.forms]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.options import InlineModelAdmin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from badges.catalog.api import Document
from badges.catalog.models import BadgeTemplate

_sections: dict[str, TemplateSection] = {}


class TemplateSection:
    """
    One section of a template's page. Everything that it does not override is left out of the page.

    ``template`` is None on the page that adds a template.
    """

    order: int
    """Sections are shown by this number, then in the order of their names."""

    inline: type[InlineModelAdmin] | None = None
    """The rows of the section as an inline of the page."""

    inline_of_new = True
    """Whether the page that adds a template has these rows, too."""

    template_name: str | None = None
    """A Django template that is rendered below the inlines, with the context of the page."""

    below_template_name: str | None = None
    """A Django template that is rendered below the form of the page. It may hold a form of its own."""

    def write(self, document: Document, formset: Any) -> None:
        """
        Write the input of the inline into a document, which is a template entry of a pack.

        It is called when all forms are valid. What the document had for the section before is in there.
        """

    def links(self, template: BadgeTemplate) -> Sequence[SafeString]:
        """Return links to other pages about the template."""
        return ()

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        """Return what ``template_name`` needs beside the context of the page."""
        return {}

    def warnings(self, request: HttpRequest, template: BadgeTemplate) -> Sequence[str]:
        """Return what the page should warn of. It is asked for users who may change the template."""
        return ()

    def urls(self, model_admin: Any) -> Sequence[Any]:
        """Return URL patterns for the buttons of the section. They are included in the URLs of the template's page."""
        return ()


def register(section: type[TemplateSection]) -> type[TemplateSection]:
    """Show a section on every template's page. Raises ValueError when another one has its name."""
    if section.__name__ in _sections:
        raise ValueError(f"There is a section {section.__name__} already; give this one another name.")
    _sections[section.__name__] = section()
    return section


def unregister(section: type[TemplateSection]) -> None:
    """Show a section no more."""
    del _sections[section.__name__]


def sections() -> list[TemplateSection]:
    """Return all sections in the order of the page."""
    return [section for _, section in sorted(_sections.items(), key=lambda item: (item[1].order, item[0]))]


def section_of(formset: Any) -> TemplateSection | None:
    """Return the section whose inline made a formset."""
    return next((one for one in sections() if one.inline and one.inline.model is formset.model), None)
