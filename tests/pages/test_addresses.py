"""A host chooses where the pages stand, and how they look."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.urls import include, path, resolve, reverse

from badges import urls


@pytest.fixture
def _original_urls() -> Iterator[None]:
    yield
    importlib.reload(urls)


@pytest.mark.usefixtures("_original_urls")
@pytest.mark.parametrize("given", ["my/badges", "/my/badges/", "my/badges/"])
def test_the_pages_stand_where_the_setting_says(settings: Any, given: str) -> None:
    settings.LMS_BADGES_CONFIG = {"pages": {"path": given}}
    host: Any = ModuleType("a_host")
    host.urlpatterns = [path("plugins/", include(importlib.reload(urls)))]
    assert reverse("lms_badges:learner-page", urlconf=host) == "/plugins/my/badges/"
    assert resolve("/plugins/my/badges/credentials/houba/", urlconf=host).url_name == "credential-page"
    assert resolve("/plugins/api/badges/v1/credentials/", urlconf=host).url_name == "credential-list"


@pytest.mark.django_db
def test_a_host_gives_the_pages_its_look(client: Any, settings: Any, tmp_path: Path) -> None:
    folder = tmp_path / "lms_badges"
    folder.mkdir()
    look = "{% block header %}<header>Palombia</header>{% endblock %}"
    (folder / "public_credential.html").write_text('{% extends "lms_badges/public_credential.html" %}' + look)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    page = client.get("/badges/credentials/houba/").content.decode()
    assert "<header>Palombia</header>" in page
    assert "There is no such badge" in page
