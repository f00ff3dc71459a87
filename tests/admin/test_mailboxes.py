"""Operators see dead letters and retry them; nobody else can."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from badges.models import Circuit, InboxMessage, OutboxMessage
from tests.factories import (
    InboxMessageFactory,
    OutboxMessageFactory,
    UserCredentialFactory,
    credly_issuer,
    make_template,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]
CIRCUITS = "/admin/lms_badges/circuit/"
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


OPERATOR = ("view_outboxmessage", "retry_outboxmessage", "close_outboxmessage", "view_circuit", "retry_circuit")


@pytest.fixture
def operator(staff: Any, client: Any) -> Any:
    client.force_login(staff(*OPERATOR))
    return client


def act(client: Any, action: str, *rows: Any, where: str = OUTBOX, **more: Any) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return str(client.post(where, chosen, follow=True).content.decode())


def test_all_rows_of_a_filter_are_retried_when_there_are_thousands(operator: Any) -> None:
    rows = [OutboxMessageFactory.build(state="dead", due_at=None, attempts=5) for _ in range(5_100)]
    OutboxMessage.objects.bulk_create(rows)
    other = OutboxMessageFactory(state="delivered", due_at=None)
    page = operator.get(OUTBOX, {"state__exact": "dead"}).content.decode()
    assert "Select all 5000" in page
    first = OutboxMessage.objects.filter(state="dead").first()
    page = act(operator, "retry_dead_letters", first, where=f"{OUTBOX}?state__exact=dead", select_across="1")
    assert "5100 dead letters are tried again." in page
    assert OutboxMessage.objects.filter(state="pending", attempts=0).count() == 5_100
    other.refresh_from_db()
    assert other.state == "delivered"


def test_a_waiting_row_is_given_up_and_a_dead_letter_closed_with_a_reason(operator: Any) -> None:
    row = OutboxMessageFactory()
    assert "Enter a reason" in act(operator, "give_up_waiting_rows", row)
    act(operator, "give_up_waiting_rows", row, reason="The learner asked for it.")
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("dead", None)
    assert "asked for it" in row.last_error
    assert "Enter a reason" in act(operator, "close_dead_letters", row, reason="  ")
    act(operator, "close_dead_letters", row, reason="Done by hand.")
    row.refresh_from_db()
    assert (row.state, row.closing_reason) == ("closed", "Done by hand.")
    assert "0 dead letters are tried again." in act(operator, "retry_dead_letters", row)


def test_a_row_that_a_worker_has_is_left_to_it(operator: Any) -> None:
    row = OutboxMessageFactory(claim="0190e3c0-0000-7000-8000-000000000001")
    assert "0 rows were given up." in act(operator, "give_up_waiting_rows", row, reason="No.")
    assert "0 rows are tried now." in act(operator, "try_waiting_rows_now", row)


def test_a_row_has_buttons_on_its_own_page(operator: Any) -> None:
    row = dead(OutboxMessageFactory)
    page = operator.get(f"{OUTBOX}{row.pk}/change/").content.decode()
    assert f"{OUTBOX}{row.pk}/retry/" in page
    assert f"{OUTBOX}{row.pk}/close/" in page
    assert f"{OUTBOX}{row.pk}/give-up/" not in page
    assert operator.get(f"{OUTBOX}{row.pk}/retry/").status_code == 200
    row.refresh_from_db()
    assert row.state == "dead"
    operator.post(f"{OUTBOX}{row.pk}/retry/")
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("pending", 0)
    operator.post(f"{OUTBOX}{row.pk}/give-up/", {"reason": "Not now."})
    operator.post(f"{OUTBOX}{row.pk}/close/", {"reason": ""})
    row.refresh_from_db()
    assert row.state == "dead"
    operator.post(f"{OUTBOX}{row.pk}/close/", {"reason": "Issued by hand."})
    row.refresh_from_db()
    assert (row.state, row.closing_reason) == ("closed", "Issued by hand.")
    assert "Issued by hand." in operator.get(f"{OUTBOX}{row.pk}/change/").content.decode()


@pytest.mark.parametrize("verb", ["retry", "give-up", "close"])
def test_the_buttons_need_their_permissions(staff: Any, client: Any, verb: str) -> None:
    client.force_login(staff("view_outboxmessage"))
    row = dead(OutboxMessageFactory)
    assert f"/{verb}/" not in client.get(f"{OUTBOX}{row.pk}/change/").content.decode()
    assert client.post(f"{OUTBOX}{row.pk}/{verb}/", {"reason": "x"}).status_code == 403
    row.refresh_from_db()
    assert row.state == "dead"


def test_a_row_says_what_it_waits_for(operator: Any) -> None:
    Circuit.objects.create(
        name="credly:org", open_until=timezone.now(), reason="problem", message="The token is not accepted."
    )
    held = OutboxMessageFactory(channel="credly", key="a", postponed_for="credly:org")
    behind = OutboxMessageFactory(channel="credly", key="a")
    page = operator.get(f"{OUTBOX}{held.pk}/change/").content.decode()
    assert "an operator has to correct something – The token is not accepted." in page
    assert f"credly #{held.pk}" in operator.get(f"{OUTBOX}{behind.pk}/change/").content.decode()
    assert "the circuit credly:org" in operator.get(OUTBOX).content.decode()


def test_rows_are_found_by_channel_provider_and_template(operator: Any) -> None:
    credential = UserCredentialFactory(template=make_template(slug="star", issuers=[credly_issuer()]))
    issue = OutboxMessageFactory(channel="credly", key=str(credential.learner_template_id))
    announce = OutboxMessageFactory(channel="announce")
    for query in ({"channel": "credly"}, {"provider": "any"}, {"provider": "credly"}, {"template": "star"}):
        page = operator.get(OUTBOX, query).content.decode()
        assert f"{OUTBOX}{issue.pk}/change/" in page
        assert f"{OUTBOX}{announce.pk}/change/" not in page


def test_a_circuit_shows_its_problem_and_is_tried_again_at_once(operator: Any) -> None:
    row = Circuit.objects.create(
        name="credly:org",
        open_until=timezone.now() + dt.timedelta(hours=1),
        reason="problem",
        message="The token is not accepted.",
        since=timezone.now(),
    )
    OutboxMessageFactory(channel="credly", postponed_for="credly:org", due_at=row.open_until)
    page = operator.get(CIRCUITS).content.decode()
    assert "The token is not accepted." in page
    assert operator.get(f"{CIRCUITS}{row.pk}/change/").status_code == 200
    assert operator.get(OUTBOX, {"postponed_for": "credly:org", "state__exact": "pending"}).status_code == 200
    assert "1 circuit is tried with its next row." in act(operator, "try_again_now", row, where=CIRCUITS)
    assert OutboxMessage.objects.filter(due_at__lte=timezone.now()).count() == 1
