"""What the pipeline relies on when it inserts: what ``bulk_create`` would have written, on every database."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from uuid6 import uuid7

from badges.catalog.models import TemplateIssuer
from badges.inserts import insert, new_row
from badges.intake.models import InboxMessage, InboxState
from badges.outbox.models import Circuit, OutboxMessage
from badges.progress.models import BadgeProgress
from tests.factories import NOON, BadgeProgressFactory, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

NOW = dt.datetime(2026, 10, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)


def event(number: int, **columns: Any) -> InboxMessage:
    return InboxMessage(
        **{
            "id": uuid7(),
            "source": "houba",
            "event_id": f"houba-{number}",
            "event_type": "org.openedx.houba.v1",
            "lms_user_id": 2**63 - number,
            "payload": "{}",
            "state": InboxState.UNMATCHED,
            "received_at": NOW + dt.timedelta(seconds=number),
            **columns,
        }
    )


def written(model: Any) -> list[dict[str, Any]]:
    return list(model.objects.order_by("pk").values())


@pytest.mark.parametrize("count", [1, 3])
def test_rows_are_what_bulk_create_makes_of_them(count: int) -> None:
    odd = [
        # Half a table of nothing, text that SQL and arrays would stumble over, another zone, another script.
        event(1, payload=None, event_time=None, lms_user_id=None),
        event(2, payload='{"NULL"}, \\" %s \' \n\t', event_time=NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))),
        event(3, payload="نور 王 🎓", state=InboxState.PENDING, due_at=NOW, claim=uuid.uuid4(), attempts=7),
    ][-count:]
    InboxMessage.objects.bulk_create(odd)
    expected = written(InboxMessage)
    InboxMessage.objects.all().delete()

    insert(odd)

    assert len(expected) == count
    assert written(InboxMessage) == expected


def test_a_row_that_exists_stays_as_it_is_and_the_others_are_written() -> None:
    insert([event(1, received_from="first")])

    insert([event(1, received_from="second"), event(2, received_from="second")], unique=("source", "event_id"))

    assert dict(InboxMessage.objects.values_list("event_id", "received_from")) == {
        "houba-1": "first",
        "houba-2": "second",
    }


def test_a_row_that_exists_gets_the_updated_field_and_no_other() -> None:
    row = BadgeProgressFactory(created_at=NOW, completed_at=None)
    later = NOW + dt.timedelta(days=1)
    row.created_at = row.completed_at = later

    insert([row], unique="id", update="completed_at")

    assert list(BadgeProgress.objects.values_list("created_at", "completed_at")) == [(NOW, later)]


def test_a_row_that_exists_gets_all_updated_fields_by_one_statement(django_assert_num_queries: Any) -> None:
    insert([event(1, payload="old", reason="old", attempts=1)])

    with django_assert_num_queries(1):
        insert(
            [event(1, payload="new", reason="new", attempts=7), event(2)],
            unique=["source", "event_id"],
            update=["payload", "reason"],
        )

    first = InboxMessage.objects.values_list("payload", "reason", "attempts").get(event_id="houba-1")
    assert first == ("new", "new", 1)
    assert InboxMessage.objects.count() == 2


def test_the_fields_of_one_constraint_together_find_the_row_that_exists() -> None:
    template = make_template(slug="spirou")
    issuer = {"template": template, "organization": "o"}
    insert([TemplateIssuer(provider="credly", external_template="old", **issuer)])

    insert(
        [TemplateIssuer(provider=provider, external_template="new", **issuer) for provider in ("credly", "other")],
        unique=["template", "provider"],
        update=["external_template"],
    )

    assert list(TemplateIssuer.objects.order_by("provider").values_list("provider", "external_template")) == [
        ("credly", "new"),
        ("other", "new"),
    ]


def test_the_database_numbers_rows_in_the_order_given() -> None:
    keys = [f"{number * 7 % 50}" for number in range(50)]
    message = {"channel": "announce", "type": "t", "payload": "{}", "due_at": NOW, "created_at": NOW}

    insert(OutboxMessage(key=key, **message) for key in keys)

    assert list(OutboxMessage.objects.order_by("sequence").values_list("key", flat=True)) == keys


def test_a_row_that_exists_is_updated_only_by_a_greater_value_if_that_is_asked_for() -> None:
    given: dict[str, Any] = {"unique": "name", "update": ("failures", "open_until"), "if_greater": "failures"}
    insert([Circuit(name="a", failures=5, open_until=NOON), Circuit(name="b", failures=5)], **given)

    insert([Circuit(name="a", failures=4), Circuit(name="b", failures=6, open_until=NOON)], **given)
    insert([Circuit(name="a", failures=5), Circuit(name="b", failures=6)], **given)

    found = Circuit.objects.order_by("name").values_list("name", "failures", "open_until")
    assert list(found) == [("a", 5, NOON), ("b", 6, NOON)]


def test_more_values_than_a_statement_of_sqlite_can_have_are_written() -> None:
    insert(Circuit(name=f"credly:{number}") for number in range(40_000))

    assert Circuit.objects.count() == 40_000


def test_a_row_that_exists_is_an_error_when_no_unique_field_was_named() -> None:
    insert([event(1)])

    with pytest.raises(IntegrityError), transaction.atomic():
        insert([event(2), event(1)])

    assert InboxMessage.objects.count() == 1


def test_text_that_is_too_long_is_refused_and_not_cut_off() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no lengths.")
    with pytest.raises(DatabaseError), transaction.atomic():
        insert([event(1), event(2, reason="x" * 501)], unique=("source", "event_id"))

    assert not InboxMessage.objects.exists()


def test_no_rows_cost_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert([])


def test_a_new_row_is_what_the_model_makes_of_the_same_values() -> None:
    progress = BadgeProgressFactory()
    values: dict[str, Any] = {"template_id": progress.template_id, "provider": "houba", "organization": "marsupilami"}
    made, expected = new_row(TemplateIssuer, **values), TemplateIssuer(**values)

    assert vars(made).keys() == vars(expected).keys()
    assert {**vars(made), "_state": None} == {**vars(expected), "_state": None}
    made.save()
    assert TemplateIssuer.objects.get(pk=made.pk).template == progress.template


def test_a_new_row_has_a_default_of_its_own() -> None:
    first, second = (new_row(InboxMessage, event_id="houba") for _ in range(2))

    assert isinstance(first.id, uuid.UUID)
    assert first.id != second.id
    assert (first.kind, first.attempts, first.payload, first.source) == ("event", 0, None, "")


def test_a_new_row_has_no_column_that_the_model_does_not_have() -> None:
    with pytest.raises(TypeError, match=r"BadgeProgress has no columns \['learner'\]"):
        new_row(BadgeProgress, learner=1)
