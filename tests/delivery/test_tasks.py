"""The tasks' own decisions: how long they work, what they delete."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from badges import pipeline, tasks
from badges.awarding.models import UserCredential
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage, InboxState
from badges.outbox import mailbox
from badges.outbox.models import OutboxMessage, OutboxState
from badges.progress.models import Fulfillment
from badges.testing.events import passing_status
from tests.delivery.telegraph import NOW, Telegraph, post
from tests.factories import UserCredentialFactory, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


def test_tasks_have_the_names_that_hosts_route_by() -> None:
    names = {tasks.deliver.name, tasks.process_pending.name, tasks.sweep.name, tasks.purge.name, tasks.expire.name}
    assert names == {"badges.deliver", "badges.process_pending", "badges.sweep", "badges.purge", "badges.expire"}


def test_tasks_are_acknowledged_late_leave_no_result_and_end() -> None:
    for task in (tasks.deliver, tasks.process_pending, tasks.sweep, tasks.purge, tasks.expire):
        assert (task.acks_late, task.ignore_result) == (True, True)
        assert tasks.TURN_SECONDS < task.soft_time_limit < task.time_limit


def test_a_sweep_works_through_the_outbox(telegraph: Telegraph) -> None:
    post("one", "two")
    tasks.sweep()
    assert telegraph.sent == ["one", "two"]


def test_badges_at_their_end_are_marked() -> None:
    UserCredentialFactory(valid_until=timezone.now() - dt.timedelta(seconds=1))
    UserCredentialFactory(valid_until=timezone.now() + dt.timedelta(hours=1))
    tasks.expire()
    assert sorted(UserCredential.objects.values_list("status", flat=True)) == ["awarded", "expired"]


def test_a_drain_marks_badges_at_their_end(capsys: pytest.CaptureFixture[str]) -> None:
    UserCredentialFactory(valid_until=timezone.now() - dt.timedelta(seconds=1))
    call_command("badges_drain")
    assert "delivered: 0, badges expired: 1." in capsys.readouterr().out


def inbox_row(number: int, processed_at: dt.datetime | None, state: InboxState) -> InboxMessage:
    return InboxMessage.objects.create(
        event_id=f"event-{number}",
        event_type="t",
        payload='{"name": "Calamity Jane"}',
        state=state,
        due_at=None if processed_at else NOW,
        received_at=NOW,
        processed_at=processed_at,
    )


def test_payloads_and_delivered_rows_are_deleted_in_their_time(
    telegraph: Telegraph, capsys: pytest.CaptureFixture[str]
) -> None:
    now = timezone.now()
    inbox_row(1, now - dt.timedelta(days=15), InboxState.PROCESSED)
    inbox_row(2, now - dt.timedelta(days=15), InboxState.DEAD)
    inbox_row(3, now - dt.timedelta(days=13), InboxState.PROCESSED)
    inbox_row(4, None, InboxState.PENDING)
    long_ago = now - dt.timedelta(days=31)
    post("old", "young", "waiting")
    old, young, _waiting = mailbox.claim(3, NOW, lease=60)
    mailbox.delivered([old], long_ago)
    mailbox.delivered([young], now)
    OutboxMessage.objects.update(created_at=long_ago)
    call_command("badges_purge")
    kept = {row.event_id: row.payload is not None for row in InboxMessage.objects.all()}
    assert kept == {"event-1": False, "event-2": False, "event-3": True, "event-4": True}
    assert [row.read()["word"] for row in OutboxMessage.objects.order_by("sequence")] == ["young", "waiting"]
    out = capsys.readouterr().out
    assert (
        "payloads of 2 events older than 14 days, 0 events decided too long ago (event_days: None), "
        "0 logged events (event_log.days: 180), 0 penalties of people without a learner (penalty_days: 180), "
        "1 outbox rows" in out
    )
    assert OutboxMessage.objects.filter(state=OutboxState.DELIVERED).count() == 1


def test_events_are_deleted_where_that_is_wanted_and_one_that_comes_again_gives_nothing_twice(settings: Any) -> None:
    make_template()
    line = passing_status(lms_user_id=7, username="jane").line
    pipeline.handle([parse_event(line, received_from="file:march.jsonl:1")])
    long_ago = timezone.now() - dt.timedelta(days=401)
    inbox_row(1, long_ago, InboxState.DEAD)
    inbox_row(2, long_ago, InboxState.UNMATCHED)
    inbox_row(3, None, InboxState.PENDING)
    inbox_row(4, timezone.now(), InboxState.PROCESSED)
    InboxMessage.objects.update(received_at=long_ago)
    InboxMessage.objects.filter(lms_user_id=7).update(processed_at=long_ago)

    assert tasks.delete_old_data().events == 0
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "event_days": 400}
    assert tasks.delete_old_data().events == 2
    assert sorted(InboxMessage.objects.values_list("event_id", flat=True)) == ["event-1", "event-3", "event-4"]

    again = pipeline.handle([parse_event(line, received_from="file:march.jsonl:1")])

    assert (again.matched, again.awarded) == (1, 0)
    assert UserCredential.objects.count() == Fulfillment.objects.count() == 1
    assert OutboxMessage.objects.filter(channel="announce").count() == 1
