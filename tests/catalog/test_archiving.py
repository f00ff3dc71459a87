"""Archiving templates."""

from __future__ import annotations

import pytest

from badges.catalog import snapshot
from badges.catalog.api import archive_template, save_template
from badges.catalog.models import BadgeTemplate, CatalogVersion
from tests.factories import NOON, template_entry

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def test_every_process_is_told_that_a_template_is_archived() -> None:
    save_template(template_entry(slug="schtroumpf"), now=NOON)
    template = BadgeTemplate.objects.get(slug="schtroumpf")
    before, compiled = CatalogVersion.objects.get().number, snapshot.current()
    archive_template(template, author=None, now=NOON)
    assert CatalogVersion.objects.get().number != before
    assert snapshot.current() is not compiled
