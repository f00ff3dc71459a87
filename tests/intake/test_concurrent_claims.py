"""Events that several workers claim at the same time."""

from __future__ import annotations

import pytest

from badges import pipeline
from badges.intake import inbox
from badges.intake.models import InboxMessage
from tests.factories import NOON, make_passing, make_template
from tests.support.claims import taken_by_another

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


def test_an_event_that_another_worker_is_just_claiming_is_passed_over() -> None:
    make_template("star", {"key": "pass"})
    for number in (1, 2):
        pipeline.receive(make_passing(lms_user_id=number, username=f"u{number}"), now=NOON)
    with taken_by_another(InboxMessage.objects.filter(lms_user_id=1)) as is_passed_over:
        found = inbox.claim(10, NOON, lease=60)
    assert sorted(row.lms_user_id or 0 for row in found) == ([2] if is_passed_over else [1, 2])
