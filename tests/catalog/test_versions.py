"""The catalog version: every change is noticed, and no number is used twice."""

import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from badges.catalog import snapshot
from badges.catalog.api import Outcome, bump_version, save_template
from badges.catalog.models import BadgeTemplate, CatalogVersion
from badges.conf import PASSING_STATUS
from tests.factories import NOON, credly_issuer, make_template, requirement, template_entry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def test_touching_makes_the_row_when_there_is_none():
    assert not CatalogVersion.objects.exists()
    bump_version()
    assert CatalogVersion.objects.get().number > 0


def test_what_was_compiled_inside_a_transaction_that_rolled_back_is_never_believed_again():
    class Regret(Exception):
        pass

    bump_version()

    def compile_and_regret() -> None:
        with transaction.atomic():
            make_template()
            compiled.append(snapshot.current())
            raise Regret

    compiled: list = []
    with pytest.raises(Regret):
        compile_and_regret()
    assert snapshot.current().indexes == {}
    make_template()
    now = snapshot.current()
    assert PASSING_STATUS in compiled[0].indexes
    assert now.version != compiled[0].version
    assert PASSING_STATUS in now.indexes


def test_saving_locks_once_and_bumps_once_however_many_rows_are_written():
    requirements = [requirement(f"key {number}") for number in range(5)]
    entry = template_entry(requirements=requirements, issuers=[credly_issuer()])
    save_template(entry, now=NOON)
    changed = [requirement("key 0", course=None), *requirements[1:3]]
    with CaptureQueriesContext(connection) as queries:
        save_template({**entry, "name": "other", "requirements": changed, "issuers": []}, now=NOON)
    assert any("DELETE" in query["sql"] and "datarule" in query["sql"] for query in queries)
    statements = [query["sql"] for query in queries if "catalogversion" in query["sql"]]
    assert len([statement for statement in statements if statement.startswith("UPDATE")]) == 2


def test_editors_of_one_template_take_turns_from_the_first_save_on():
    entry = template_entry(slug="spirou")
    outcomes, errors = [], []
    start = threading.Barrier(4)

    def edit(name: str) -> None:
        try:
            start.wait(timeout=120)
            outcomes.append(save_template({**entry, "name": name}, now=NOON).outcome)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=edit, args=(f"name {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert errors == []
    assert sorted(outcomes) == [Outcome.CREATED, *[Outcome.UPDATED] * 3]
    template = BadgeTemplate.objects.get()
    assert sorted(template.revisions.values_list("number", flat=True)) == [1, 2, 3, 4]
    assert template.current_revision.number == 4
