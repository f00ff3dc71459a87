"""Templates that are looked up by names which are slugs or UUIDs."""

from __future__ import annotations

import pytest

from badges.catalog.queries import templates_named
from tests.factories import make_template
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def test_templates_are_found_by_slug_and_by_uuid_in_one_statement() -> None:
    star, comet = make_template(slug="star"), make_template(slug="comet")
    names = ["star", str(comet.uuid), str(comet.uuid).upper(), "moon", "", "a\0", "\ud800", "f" * 300]
    with counted_statements() as statements:
        found = templates_named(names)
    assert found == {"star": star, str(comet.uuid): comet, str(comet.uuid).upper(): comet}
    assert len(statements) == 1
    with counted_statements() as statements:
        assert templates_named([]) == templates_named(["\0"]) == {}
    assert len(statements) == 0


def test_a_slug_goes_before_a_uuid() -> None:
    star = make_template(slug="star")
    disguised = make_template(slug=str(star.uuid))
    assert templates_named([str(star.uuid)]) == {str(star.uuid): disguised}
