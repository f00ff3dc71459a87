"""Events that several workers claim at the same moment."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from badges import pipeline
from badges.intake import inbox
from badges.intake.models import InboxMessage
from tests.pipeline.stories import NOW, make_passing, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


def test_an_event_that_another_worker_is_just_taking_holds_nobody_up() -> None:
    make_template("star", {"key": "pass"})
    for number in (1, 2):
        pipeline.receive(make_passing(lms_user_id=number, username=f"u{number}"), now=NOW)
    waits_for_none = connection.features.has_select_for_update_skip_locked  # SQLite has one writer at a time
    is_taken, may_go = threading.Event(), threading.Event()

    def take() -> None:
        with transaction.atomic():
            InboxMessage.objects.select_for_update().get(lms_user_id=1)
            is_taken.set()
            may_go.wait(20 if waits_for_none else 0)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take)
        is_taken.wait(20)
        found = inbox.claim_pending(limit=10, lease=dt.timedelta(minutes=1), now=NOW)
        may_go.set()
        taking.result()
    assert sorted(row.lms_user_id or 0 for row in found) == ([2] if waits_for_none else [1, 2])
