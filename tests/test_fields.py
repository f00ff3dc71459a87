"""What everybody relies on who is told apart by a key: equal means equal byte by byte, on every database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from badges.checks import check_collations
from badges.fields import clear_gone, exact_collation
from badges.inserts import insert
from badges.intake.models import InboxMessage, InboxState, Learner
from badges.outbox.models import Circuit
from tests.factories import InboxMessageFactory, LearnerFactory

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

# The same to one collation or another.
ALIKE = ["houba", "houba ", "houba  ", "Houba", "hoûba", " houba", "houba\t"]


def test_ids_that_look_alike_are_several_events() -> None:
    insert(
        [InboxMessageFactory.build(event_id=text, state=InboxState.PENDING) for text in ALIKE],
        unique=("source", "event_id"),
    )
    assert set(InboxMessage.objects.values_list("event_id", flat=True)) == set(ALIKE)


@pytest.mark.parametrize("text", ALIKE)
def test_a_key_finds_itself_and_nothing_else(text: str) -> None:
    Circuit.objects.bulk_create(Circuit(name=name) for name in ALIKE)
    assert [row.name for row in Circuit.objects.filter(name=text)] == [text]
    assert [row.name for row in Circuit.objects.filter(name__in=[text])] == [text]


def test_columns_that_were_just_made_are_as_they_should_be() -> None:
    assert check_collations(databases=["default"]) == []


@pytest.fixture
def padded() -> Any:
    """Let a column be as it was made by a host that converted its tables."""
    if connection.vendor != "mysql":
        pytest.skip("Only MariaDB and MySQL have collations that pad.")
    column = "ALTER TABLE lms_badges_circuit MODIFY name varchar(255) CHARACTER SET utf8mb4 COLLATE {} NOT NULL"
    with connection.cursor() as cursor:
        cursor.execute(column.format("utf8mb4_bin"))
        yield
        cursor.execute(column.format("utf8mb4_nopad_bin"))


def test_a_column_that_pads_is_found_and_the_remedy_corrects_it(padded: None) -> None:
    (problem,) = check_collations(databases=["default"])
    assert problem.msg.startswith("lms_badges_circuit.name has the collation utf8mb4_bin, ")
    with connection.cursor() as cursor:
        cursor.execute(problem.hint.removesuffix(";"))
    assert check_collations(databases=["default"]) == []
    Circuit.objects.bulk_create(Circuit(name=name) for name in ALIKE)


def test_no_table_of_ours_binds_a_row_of_somebody_elses() -> None:
    ours = ("lms_badges", "lms_credentials_config")
    bound = [
        str(field)
        for label in ours
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        for field in model._meta.local_fields
        if field.is_relation and field.remote_field.model._meta.app_label not in ours and field.db_constraint
    ]
    assert bound == []


def test_a_row_that_was_deleted_behind_our_back_reads_as_none_and_is_cleared_with_time() -> None:
    kept, gone = LearnerFactory(), LearnerFactory()
    type(gone.user)._base_manager.filter(pk=gone.user_id)._raw_delete(using="default")
    row = Learner.objects.get(pk=gone.pk)

    assert row.user_id is not None
    assert row.user is None
    assert str(row) == str(row.lms_user_id)
    assert clear_gone(Learner, step=1) == 1
    assert clear_gone(Learner) == 0
    assert dict(Learner.objects.values_list("pk", "user_id")) == {kept.pk: kept.user_id, gone.pk: None}


@pytest.mark.parametrize(("is_mariadb", "collation"), [(True, "utf8mb4_nopad_bin"), (False, "utf8mb4_0900_bin")])
def test_mysql_and_mariadb_have_each_their_own_name_for_it(is_mariadb: bool, collation: str) -> None:
    server = SimpleNamespace(vendor="mysql", mysql_is_mariadb=is_mariadb)
    assert exact_collation(server) == collation
