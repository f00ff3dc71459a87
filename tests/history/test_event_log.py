"""What rules that look back rely on: every event about a person is remembered once, without personal data."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from badges import api, inserts, pipeline, tasks
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from badges.history import event_log
from badges.history.models import LoggedEvent
from badges.intake import receivers
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage, Learner
from badges.rules import event_digest
from badges.testing import events as made
from tests.factories import make_passing as passing
from tests.factories import make_template as template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
NOON = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)


def logged(person: int = 41) -> list[str]:
    return [row.event_id for row in event_log.events_of(person)]


# --- what is logged ------------------------------------------------------------------------------------------------


def test_an_event_that_meets_no_requirement_is_logged_and_leaves_nothing_else() -> None:
    event = passing(course_key=BOTANY, lms_user_id=41, time=NOON)

    result = pipeline.handle([event])

    row = LoggedEvent.objects.get()
    assert result.ignored == {(PASSING_STATUS, "no match"): 1}
    assert (row.person, row.event_type, row.event_source, row.event_id) == (41, event.type, event.source, event.id)
    assert (row.digest, row.occurred_at) == (event_digest(event.source, event.id), NOON)
    assert not Learner.objects.exists()
    assert not InboxMessage.objects.exists()


def test_an_event_that_completes_a_template_is_logged_too() -> None:
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA, lms_user_id=41)

    assert pipeline.handle([event]).awarded == 1

    assert logged() == [event.id]


def test_an_event_is_logged_once_however_often_and_by_whatever_way_it_comes() -> None:
    template("star", {"key": "pass", "course": ALGEBRA})
    matching, other = passing(course_key=ALGEBRA, lms_user_id=41), passing(course_key=BOTANY, lms_user_id=41)

    for event in (matching, other):
        pipeline.handle([event, event])
        pipeline.receive(event)
        pipeline.process_pending()
        pipeline.handle([event])

    assert sorted(logged()) == sorted([matching.id, other.id])


def test_a_pending_event_is_logged_when_it_is_decided() -> None:
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA, lms_user_id=41)

    pipeline.receive(event)
    before = logged()
    pipeline.process_pending()

    assert (before, logged()) == ([], [event.id])


def test_a_signal_of_this_process_is_logged() -> None:
    receivers.disconnect()
    receivers.connect(pipeline.receive)
    event = made.passing_status(course_key=BOTANY, lms_user_id=41)

    event.signal.send_event_with_custom_metadata(event.metadata, **event.data)

    assert logged() == [str(event.metadata.id)]


def test_personal_data_is_not_logged() -> None:
    pipeline.handle([passing(lms_user_id=41, username="marsupilami", name="Marsu Pilami", email="m@example.com")])

    row = LoggedEvent.objects.get()
    assert row.loaded()["course_passing_status"]["user"] == {"id": 41, "is_active": True}
    assert row.loaded()["course_passing_status"]["is_passing"] is True
    assert "marsu" not in row.data.lower()
    assert "m@example.com" not in row.data


def test_an_event_without_personal_data_is_logged_although_nobody_here_has_its_lms_user_id() -> None:
    event = passing(lms_user_id=41, with_pii=False)
    pipeline.handle([event])
    assert logged() == [event.id]


@pytest.mark.parametrize("lms_user_id", [0, -5, 2**63])
def test_an_lms_user_id_that_cannot_be_one_is_not_logged(lms_user_id: int) -> None:
    pipeline.handle([passing(lms_user_id=lms_user_id)])
    assert not LoggedEvent.objects.exists()


def test_a_batch_that_is_rolled_back_logs_nothing() -> None:
    with transaction.atomic():
        pipeline.receive(passing(course_key=BOTANY))
        transaction.set_rollback(True)
    assert not LoggedEvent.objects.exists()


def test_the_number_of_days_of_a_type_counts_before_the_general_one(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"event_log": {"days": 0, "types": {CCX_PASSING_STATUS: 30}}}
    assert not event_log.is_logged(PASSING_STATUS)
    assert event_log.is_logged(CCX_PASSING_STATUS)

    pipeline.handle([passing()])

    assert not LoggedEvent.objects.exists()


def test_every_event_can_be_logged_whatever_its_digest_is() -> None:
    events = [passing(lms_user_id=41) for _ in range(500)]

    pipeline.handle(events)

    assert len(logged()) == 500
    assert not InboxMessage.objects.exists()


def test_an_event_that_is_longer_than_the_server_takes_is_not_logged_and_the_others_are(monkeypatch: Any) -> None:
    monkeypatch.setattr(inserts, "statement_bytes", lambda: 20_000)
    long = passing(lms_user_id=41, course_name="x" * 20_000)
    others = [passing(lms_user_id=41) for _ in range(5)]

    pipeline.handle([long, *others])

    assert sorted(logged()) == sorted(event.id for event in others)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_events_are_read_newest_first_by_person_type_and_time() -> None:
    for hour in (1, 3, 2):
        line = made.passing_status(lms_user_id=41, time=NOON.replace(hour=hour))
        pipeline.handle([parse_event(line.line, received_from="test")])
    pipeline.handle([passing(lms_user_id=42)])

    def hours(**wanted: Any) -> list[int]:
        return [row.occurred_at.hour for row in event_log.events_of(41, **wanted)]

    assert hours() == [3, 2, 1]
    assert hours(limit=2) == [3, 2]
    assert hours(since=NOON.replace(hour=2)) == [3, 2]
    assert hours(until=NOON.replace(hour=2)) == [2, 1]
    assert hours(types=[PASSING_STATUS]) == [3, 2, 1]
    assert hours(types=[CCX_PASSING_STATUS]) == hours(types=[]) == []


def test_a_learner_without_an_lms_user_id_has_a_key_of_its_own() -> None:
    assert event_log.person_key(41, 7) == 41
    assert event_log.person_key(None, 7) == -7
    assert event_log.person_key(None) is None


# --- deleting --------------------------------------------------------------------------------------------------------


def at(days: int) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


def test_purging_deletes_what_is_older_than_the_days_of_its_type(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"event_log": {"days": 180, "types": {PASSING_STATUS: 30}}}
    young, old = passing(lms_user_id=41), passing(lms_user_id=41)
    pipeline.handle([young], now=at(29))
    pipeline.handle([old], now=at(31))
    other = LoggedEvent.objects.get(event_id=old.id)
    other.pk, other.event_type, other.digest = None, CCX_PASSING_STATUS, event_digest("other", old.id)
    other.save()

    assert tasks.delete_old_data().logged == 1

    assert set(LoggedEvent.objects.values_list("event_type", "event_id")) == {
        (PASSING_STATUS, young.id),
        (CCX_PASSING_STATUS, old.id),
    }


def test_switching_the_log_off_deletes_what_was_logged_at_the_next_purge(settings: Any) -> None:
    pipeline.handle([passing()], now=at(1))
    settings.LMS_BADGES_CONFIG = {"event_log": {"days": 0}}

    assert tasks.delete_old_data().logged == 1


def test_purging_goes_on_until_nothing_old_is_left() -> None:
    pipeline.handle([passing(lms_user_id=41) for _ in range(5)], now=at(365))
    assert event_log.delete_expired(now=timezone.now(), step=2) == 5


def test_retiring_a_person_deletes_their_events_and_no_others() -> None:
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=41, username="u41"), passing(lms_user_id=42)])

    api.retire(41)

    assert set(LoggedEvent.objects.values_list("person", flat=True)) == {42}


def test_a_person_without_a_learner_is_retired_from_the_log_too() -> None:
    pipeline.handle([passing(lms_user_id=41)])

    result = api.retire(41)

    assert result.counts["lms_badges"]["logged events"] == 1
    assert not LoggedEvent.objects.exists()


@pytest.mark.parametrize("receive", [lambda event: pipeline.handle([event]), pipeline.receive])
@pytest.mark.parametrize("course", [ALGEBRA, BOTANY])
def test_late_events_of_a_retired_person_are_not_logged(receive: Any, course: str) -> None:
    template("star", {"key": "pass", "course": ALGEBRA})
    api.retire(41)

    receive(passing(course_key=course, lms_user_id=41))
    receive(passing(course_key=course, lms_user_id=42, username="u42"))
    pipeline.process_pending()

    assert set(LoggedEvent.objects.values_list("person", flat=True)) == {42}


def test_the_index_serves_what_is_asked_about_a_person() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Servers choose a plan by the size of the table.")
    rows = LoggedEvent.objects.filter(person=41, event_type__in=[PASSING_STATUS], occurred_at__gte=NOON)
    assert "lms_badges_log_person" in rows.order_by().explain()
