"""Several designers save one template at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from badges.models import BadgeTemplate
from tests.factories import make_template, template_entry

LIST = "/api/badges/v1/templates/"
DESIGNERS = 4
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def at_once(ask: Callable[[int], Any]) -> list[int]:
    """Send requests from threads that start together; return their statuses, sorted."""
    gate = threading.Barrier(DESIGNERS)

    def run(number: int) -> int:
        try:
            gate.wait(120)
            return int(ask(number).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(DESIGNERS) as pool:
        return sorted(pool.map(run, range(DESIGNERS)))


@pytest.fixture
def designers(staff_client: Callable[..., Any]) -> list[Any]:
    return [staff_client("add_badgetemplate", "change_badgetemplate") for _ in range(DESIGNERS)]


def test_of_several_changes_of_one_version_one_is_saved(designers: list[Any]) -> None:
    template = make_template(slug="houba")
    version = {"If-Match": f'"{template.current_revision.uuid}"'}

    def change(number: int) -> Any:
        document = template_entry(slug="houba", name=f"Designer {number}")
        return designers[number].put(f"{LIST}houba/", document, content_type="application/json", headers=version)

    assert at_once(change) == [200, 412, 412, 412]
    assert template.revisions.count() == 2


def test_of_several_new_templates_of_one_slug_one_is_created(designers: list[Any]) -> None:
    def create(number: int) -> Any:
        document = template_entry(slug="houba", name=f"Designer {number}")
        return designers[number].post(LIST, document, content_type="application/json")

    assert at_once(create) == [201, 409, 409, 409]
    assert BadgeTemplate.objects.get().revisions.count() == 1
