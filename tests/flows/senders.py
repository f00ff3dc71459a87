"""Another service: makes events about accounts, and lets this host take them and work on them."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

from badges import pipeline
from badges.intake import flow_events
from badges.intake.events import Event, event_from_envelope
from badges.intake.models import InboxMessage, Learner

_numbers = count(1)
NOON = dt.datetime(2026, 3, 14, 12, 0, tzinfo=dt.UTC)


def event(event_type: str, *, id: str | None = None, source: str = "stickers", **data: Any) -> Event:
    definition = flow_events.find(event_type)
    assert definition is not None
    envelope = {"id": id or f"spirou-{next(_numbers)}", "source": source, "time": "2026-03-10T09:30:00Z", "data": data}
    return event_from_envelope(definition, envelope, received_from="test")


def claimed(learner: Learner | str, sticker: str, **given: Any) -> Event:
    return event(flow_events.CLAIMED, accountId=account_id(learner), stickerId=sticker, **given)


def completed(learner: Learner | str, certification: str, **given: Any) -> Event:
    data = {"certificationId": certification, "completedAt": "2026-03-09T08:00:00+02:00", **given}
    return event(flow_events.COMPLETED, accountId=account_id(learner), **data)


def registered(learner: Learner | str, **given: Any) -> Event:
    return event(flow_events.REGISTERED, accountId=account_id(learner), **given)


def account_id(learner: Learner | str) -> str:
    return learner if isinstance(learner, str) else str(learner.uuid)


def take(*events: Event, now: dt.datetime = NOON) -> pipeline.BatchResult:
    """Take events as a consumer does, and let a worker handle them."""
    pipeline.handle(events, now=now)
    return work(now=now)


def work(*, now: dt.datetime = NOON) -> pipeline.BatchResult:
    return pipeline.process_pending(now=now)


def states() -> list[str]:
    """Return the states of all rows of the inbox, in the order of their arrival."""
    return list(InboxMessage.objects.order_by("received_at", "id").values_list("state", flat=True))


def reasons() -> list[str]:
    return list(InboxMessage.objects.filter(state="dead").order_by("id").values_list("reason", flat=True))
