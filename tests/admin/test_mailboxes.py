"""Operators see dead letters and retry them; nobody else can."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges.models import InboxMessage, OutboxMessage
from tests.factories import InboxMessageFactory, OutboxMessageFactory

pytestmark = [pytest.mark.django_db, pytest.mark.tables]
INBOX, OUTBOX = "/admin/lms_badges/inboxmessage/", "/admin/lms_badges/outboxmessage/"


def press_retry(client: Any, where: str, *rows: Any, **more: Any) -> Any:
    chosen = {"action": "retry_dead_letters", "_selected_action": [row.pk for row in rows], **more}
    return client.post(where, chosen, follow=True)


def dead(make: Any, **given: Any) -> Any:
    return make(state="dead", due_at=None, attempts=5, **given)


@pytest.mark.parametrize(
    ("model", "make", "where"),
    [(InboxMessage, InboxMessageFactory, INBOX), (OutboxMessage, OutboxMessageFactory, OUTBOX)],
)
class TestRetry:
    """Both mailboxes have the same button."""

    def test_dead_letters_are_tried_again_as_if_for_the_first_time(
        self, staff: Any, client: Any, model: Any, make: Any, where: str
    ) -> None:
        client.force_login(staff(f"view_{model._meta.model_name}", f"retry_{model._meta.model_name}"))
        chosen, other = dead(make), dead(make)
        page = press_retry(client, where, chosen)
        assert "1 dead letter is tried again." in page.content.decode()
        chosen.refresh_from_db()
        other.refresh_from_db()
        assert (chosen.state, chosen.attempts, chosen.due_at is None) == ("pending", 0, False)
        assert other.state == "dead"

    def test_what_is_no_dead_letter_is_left_alone(
        self, staff: Any, client: Any, model: Any, make: Any, where: str
    ) -> None:
        client.force_login(staff(f"view_{model._meta.model_name}", f"retry_{model._meta.model_name}"))
        done = make(state="processed" if model is InboxMessage else "delivered", due_at=None)
        page = press_retry(client, where, done)
        assert "0 dead letters are tried again." in page.content.decode()
        done.refresh_from_db()
        assert done.due_at is None

    def test_all_that_a_filter_shows_can_be_chosen(
        self, staff: Any, client: Any, model: Any, make: Any, where: str
    ) -> None:
        client.force_login(staff(f"view_{model._meta.model_name}", f"retry_{model._meta.model_name}"))
        rows = [dead(make) for _ in range(3)]
        waiting = make()
        press_retry(client, f"{where}?state__exact=dead", rows[0], select_across="1")
        assert model.objects.filter(state="pending").count() == 4
        waiting.refresh_from_db()
        assert waiting.attempts == 0

    def test_viewing_is_not_enough_and_neither_is_a_get(
        self, staff: Any, client: Any, model: Any, make: Any, where: str
    ) -> None:
        row = dead(make)
        client.force_login(staff(f"view_{model._meta.model_name}"))
        assert "retry_dead_letters" not in client.get(where).content.decode()
        press_retry(client, where, row)
        client.force_login(staff(f"view_{model._meta.model_name}", f"retry_{model._meta.model_name}", username="other"))
        assert "retry_dead_letters" in client.get(where).content.decode()
        client.get(where, {"action": "retry_dead_letters", "_selected_action": row.pk})
        row.refresh_from_db()
        assert row.state == "dead"

    def test_the_state_can_be_asked_for(self, staff: Any, client: Any, model: Any, make: Any, where: str) -> None:
        client.force_login(staff(f"view_{model._meta.model_name}"))
        row, other = dead(make), make()
        page = client.get(where, {"state__exact": "dead"}).content.decode()
        assert f"{where}{row.pk}/change/" in page
        assert f"{where}{other.pk}/change/" not in page


def test_a_stored_event_is_shown_escaped(staff: Any, client: Any) -> None:
    client.force_login(staff("view_inboxmessage"))
    row = InboxMessageFactory(payload='{"data":{"name":"</pre><script>alert(1)</script> حوبا"}}')
    page = client.get(f"{INBOX}{row.pk}/change/").content.decode()
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt; حوبا" in page
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize("payload", [None, "", "no json <b>", "[" * 5000])
def test_whatever_is_stored_can_be_looked_at(staff: Any, client: Any, payload: str | None) -> None:
    client.force_login(staff("view_inboxmessage"))
    row = InboxMessageFactory(payload=payload, state="dead", due_at=None)
    assert client.get(f"{INBOX}{row.pk}/change/").status_code == 200


def test_a_list_of_events_reads_no_payloads(staff: Any, client: Any) -> None:
    client.force_login(staff("view_inboxmessage"))
    InboxMessageFactory()
    with CaptureQueriesContext(connection) as queries:
        client.get(INBOX)
    assert not any("payload" in query["sql"] for query in queries)


def test_an_event_is_found_by_its_id_and_by_the_learner(staff: Any, client: Any) -> None:
    client.force_login(staff("view_inboxmessage"))
    row, other = InboxMessageFactory(event_id="Abc-1", lms_user_id=4711), InboxMessageFactory(event_id="abc-1")
    for term in ("Abc-1", "4711"):
        page = client.get(INBOX, {"q": term}).content.decode()
        assert f"{row.pk}/change/" in page
        assert f"{other.pk}/change/" not in page
