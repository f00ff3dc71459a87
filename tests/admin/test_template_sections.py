"""A part of a template shows itself on the template's page by registering a section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.safestring import SafeString

from badges.admin import template_sections
from badges.admin.template_sections import TemplateSection
from badges.admin.templates import BadgeTemplateAdmin
from badges.catalog.models import BadgeTemplate
from tests.admin.pages import change
from tests.factories import make_template, requirement

pytestmark = [pytest.mark.django_db]


class HoubaSection(TemplateSection):
    order = 50
    template_name = "admin/houba.html"

    def links(self, template: BadgeTemplate) -> Sequence[SafeString]:
        return [SafeString(f'<a href="/houba/{template.slug}/">houba</a>')]

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        return {"houba": f"of {template.slug}" if template else "of a new one"}

    def warnings(self, request: HttpRequest, template: BadgeTemplate) -> Sequence[str]:
        return ["Mind the tail."]

    def urls(self, model_admin: Any) -> Sequence[Any]:
        return [path("houba/", lambda request: HttpResponse("jumped"))]


@pytest.fixture
def section(settings: Any, tmp_path: Any) -> Iterator[None]:
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "houba.html").write_text("<p>A tail {{ houba }}</p>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    template_sections.register(HoubaSection)
    yield
    template_sections.unregister(HoubaSection)


def test_a_section_adds_links_warnings_and_a_part_below_the_rows(section: None, admin_client: Any) -> None:
    template = make_template(slug="algebra-star", requirements=[requirement(key="pass")])
    page = admin_client.get(change(template)).content.decode()
    for expected in ('<a href="/houba/algebra-star/">houba</a>', "<p>A tail of algebra-star</p>", "Mind the tail."):
        assert expected in page


def test_a_section_adds_addresses_for_its_buttons(section: None) -> None:
    model_admin = BadgeTemplateAdmin(BadgeTemplate, admin.site)
    assert "houba/" in [str(url.pattern) for url in model_admin.get_urls()]


def test_two_sections_of_one_name_are_refused(section: None) -> None:
    with pytest.raises(ValueError, match="another name"):
        template_sections.register(HoubaSection)


def test_the_sections_that_ship_are_in_order() -> None:
    names = [type(one).__name__ for one in template_sections.sections()]
    first = ["RequirementsSection", "CriteriaSection", "PenaltiesSection"]
    assert names == [*first, "IssuersSection", "AwardSection", "WhySection", "RevisionsSection"]
