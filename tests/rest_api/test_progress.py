"""What learners and staff read about progress."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges.conf import PASSING_STATUS
from badges.models import BadgeProgress
from tests.factories import (
    GEOMETRY,
    NOON,
    BadgeProgressFactory,
    FulfillmentFactory,
    LoggedEventFactory,
    make_template,
    requirement,
)
from tests.rest_api.schema import assert_as_promised

LIST = "/api/badges/v1/progress/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def ask(client: Any, **query: Any) -> Any:
    return assert_as_promised(client.get(f"{LIST}?{urlencode(query)}"), LIST)["results"]


def test_progress_says_what_is_met_by_which_event_and_what_is_open(learner: Any, learner_client: Any) -> None:
    template = make_template(
        requirements=[
            requirement("algebra", group="either"),
            requirement("geometry", group="either", course=GEOMETRY),
            requirement("any", course=None, description="Pass something"),
        ]
    )
    progress = BadgeProgressFactory(learner=learner, template=template)
    met = FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="geometry"))
    body = ask(learner_client)[0]
    assert (body["fulfilled_groups"], body["total_groups"], body["completed_at"]) == (1, 2, None)
    either, alone = body["groups"]
    assert (either["group"], either["fulfilled"]) == ("either", True)
    assert [item["fulfilled_at"] for item in either["requirements"]] == [None, "2026-03-14T12:00:00Z"]
    assert either["requirements"][1]["cause"]["event_id"] == met.cause_event_id
    assert (alone["group"], alone["fulfilled"], alone["requirements"][0]["cause"]) == (None, False, None)
    assert alone["requirements"][0]["description"] == "Pass something"


def test_the_criteria_document_is_a_requirement_in_words(learner: Any, learner_client: Any) -> None:
    template = make_template(requirements=[], criteria={"event": PASSING_STATUS})
    progress = BadgeProgressFactory(learner=learner, template=template)
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="criteria"))
    ((group,),) = [row["groups"] for row in ask(learner_client)]
    (shown,) = group["requirements"]
    assert (shown["key"], shown["event_type"]) == ("criteria", None)
    assert shown["description"] == f"earned when: one '{PASSING_STATUS}' event"
    assert (group["fulfilled"], shown["fulfilled_at"]) == (True, "2026-03-14T12:00:00Z")


def test_a_learner_is_told_what_is_missing_of_the_criteria_and_staff_who_may_view_the_log(
    learner: Any, learner_client: Any, staff_client: Callable[..., Any]
) -> None:
    template = make_template(criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 5}}})
    progress = BadgeProgressFactory(learner=learner, template=template)
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="pass"))
    LoggedEventFactory.create_batch(3, person=learner.lms_user_id)

    def missing(client: Any) -> list[Any]:
        ((one, other),) = [row["groups"] for row in ask(client)]
        return [requirement["missing"] for group in (one, other) for requirement in group["requirements"]]

    assert missing(learner_client) == [None, ["3 of 5 events"]]
    assert missing(staff_client("view_badgeprogress", "view_loggedevent")) == [None, ["3 of 5 events"]]
    assert missing(staff_client("view_badgeprogress")) == [None, None]
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="criteria"))
    assert missing(learner_client) == [None, None]


def test_a_reset_fulfilment_does_not_count(learner: Any, learner_client: Any) -> None:
    template = make_template()
    progress = BadgeProgressFactory(learner=learner, template=template)
    reset = {"active_key": None, "reset_at": NOON, "reset_kind": "event"}
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(), **reset)
    assert ask(learner_client)[0]["fulfilled_groups"] == 0


def test_a_learner_sees_their_own_progress_and_staff_with_the_permission_all(
    learner: Any, learner_client: Any, staff_client: Callable[..., Any]
) -> None:
    mine, of_others = BadgeProgressFactory(learner=learner), BadgeProgressFactory()
    assert [row["id"] for row in ask(learner_client)] == [str(mine.pk)]
    everybody = ask(staff_client("view_badgeprogress"))
    assert {row["id"] for row in everybody} == {str(mine.pk), str(of_others.pk)}
    assert ask(staff_client("view_usercredential")) == []


def test_progress_can_be_asked_for_by_learner_template_and_completion(staff_client: Callable[..., Any]) -> None:
    client = staff_client("view_badgeprogress")
    done = BadgeProgressFactory(completed_at=NOON + dt.timedelta(hours=1))
    begun = BadgeProgressFactory()
    assert [row["id"] for row in ask(client, completed="true")] == [str(done.pk)]
    assert [row["id"] for row in ask(client, completed="false")] == [str(begun.pk)]
    assert [row["id"] for row in ask(client, username=begun.learner.user.username)] == [str(begun.pk)]
    assert [row["id"] for row in ask(client, template=done.template.slug)] == [str(done.pk)]


@pytest.mark.parametrize("word", ["maybe", "2", "\0", "unknown"])
def test_a_word_that_is_neither_true_nor_false_is_refused_because_its_answer_would_be_everything(
    staff_client: Callable[..., Any], word: str
) -> None:
    answer = staff_client("view_badgeprogress").get(f"{LIST}?{urlencode({'completed': word})}")
    body = assert_as_promised(answer, LIST)
    assert (answer.status_code, body["errors"]) == (400, [{"field": "completed", "detail": "Write true or false."}])


def test_pages_hold_every_row_once_and_lead_back(staff_client: Callable[..., Any]) -> None:
    client = staff_client("view_badgeprogress")
    learners = [BadgeProgressFactory().learner for _ in range(2)]
    for learner in learners:
        for _ in range(2):
            BadgeProgressFactory(learner=learner)
    pages, address = [], f"{LIST}?page_size=4"
    while address:
        pages.append(assert_as_promised(client.get(address), LIST))
        address = pages[-1]["next"]
    told = [[row["id"] for row in page["results"]] for page in pages]
    assert told == [[str(pk) for pk in part] for part in _parts(4)]
    assert [row["id"] for row in assert_as_promised(client.get(pages[1]["previous"]), LIST)["results"]] == told[0]
    by_learner = [row["learner"]["uuid"] for page in pages for row in page["results"]]
    assert by_learner == sorted(by_learner, key=[str(learner.uuid) for learner in reversed(learners)].index)


def _parts(size: int) -> list[list[Any]]:
    found = list(BadgeProgress.objects.order_by("-pk").values_list("pk", flat=True))
    return [found[start : start + size] for start in range(0, len(found), size)]


def test_a_page_of_progress_costs_the_same_however_long_it_is(staff_client: Callable[..., Any]) -> None:
    client = staff_client("view_badgeprogress")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            ask(client)
        return len(queries)

    def begin() -> None:
        progress = BadgeProgressFactory()
        FulfillmentFactory(progress=progress, requirement=progress.template.requirements.get())

    begin()
    ask(client)
    one = cost()
    for _ in range(4):
        begin()
    assert cost() == one
