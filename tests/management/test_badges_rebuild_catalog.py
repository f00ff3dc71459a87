"""badges_rebuild_catalog: the rows of templates say again what their revisions say."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from badges.catalog.models import BadgeTemplate
from tests.factories import make_template

pytestmark = [pytest.mark.django_db]


def run(*arguments: str) -> list[str]:
    output = StringIO()
    call_command("badges_rebuild_catalog", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_a_plan_tells_what_differs_and_changes_nothing():
    make_template(slug="spip", name="Spip")
    BadgeTemplate.objects.update(name="by hand")

    assert run("--plan") == [
        "spip  Spip",
        '          name: "by hand" → "Spip"',
        "1 templates differ from their revisions. Nothing was changed.",
    ]
    assert BadgeTemplate.objects.get().name == "by hand"


def test_without_a_plan_the_rows_are_written_as_the_revisions_say():
    make_template(slug="spip", name="Spip")
    BadgeTemplate.objects.update(name="by hand")

    assert run()[-1] == "1 templates were rebuilt."
    assert BadgeTemplate.objects.get().name == "Spip"
    assert run() == ["0 templates were rebuilt."]
