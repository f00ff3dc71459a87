"""Criteria documents over REST: are they right, and what do they say of some events?"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from badges.catalog import figures
from badges.catalog.models import BadgeTemplate
from badges.conf import PASSING_STATUS
from badges.models import LoggedEvent, UserCredential
from badges.testing.events import line_of, passing_status
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    NOON,
    WORKSHOP,
    LearnerFactory,
    LoggedEventFactory,
    make_event_type,
    make_template,
    workshop_event,
)
from tests.rest_api.schema import assert_as_promised
from tests.support.documented_code import code_blocks

VALIDATE = "/api/badges/v1/criteria/validate/"
EVALUATE = "/api/badges/v1/criteria/evaluate/"
pytestmark = pytest.mark.django_db

PASSED = {"event": PASSING_STATUS, "criteria": {"is_passing": True}}
TWICE = {"event": PASSING_STATUS, "criteria": {"is_passing": True, "$eventCount": {"$gte": 2}}}
AT = NOON.isoformat()


@pytest.fixture
def designer(staff_client: Callable[..., Any]) -> Any:
    return staff_client("view_badgetemplate", "view_loggedevent")


def post(client: Any, address: str, body: Any) -> Any:
    answer = client.post(address, json.dumps(body), content_type="application/json")
    return answer.status_code, assert_as_promised(answer, address, "post")


def logged(person: int, *, days_ago: int = 1, passing: bool = True, course: str = ALGEBRA) -> LoggedEvent:
    data = {"course_passing_status": {"is_passing": passing, "course": {"course_key": course}}}
    return LoggedEventFactory(person=person, occurred_at=NOON - dt.timedelta(days=days_ago), data=json.dumps(data))


def pasted(number: int, **payload: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "type": PASSING_STATUS, "time": f"2026-03-{number:02}T10:00:00Z", "payload": payload}


# --- validating ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True])
def test_a_document_is_said_in_words_with_what_it_reads(designer: Any, as_text: bool) -> None:
    status, body = post(designer, VALIDATE, {"document": json.dumps(TWICE) if as_text else TWICE})
    assert status == 200
    assert body == {
        "description": f"earned when: at least 2 '{PASSING_STATUS}' events with is_passing exactly true",
        "event_types": [PASSING_STATUS],
        "reads_every_type": False,
        "figures": [],
        "monotone": True,
        "needs_recheck": False,
        "satisfied_without_events": False,
        "reach": None,
    }


def test_authors_are_told_what_kind_a_document_is(designer: Any) -> None:
    absent = {"$timeWindow": {"last": "7d", "flow": {"$not": {"$timePeriod": {"periodType": "day"}}}}}
    status, body = post(designer, VALIDATE, {"document": {"$or": [absent, {"$stat": {"xp": {"$gte": 5}}}]}})
    assert status == 200
    assert (body["monotone"], body["needs_recheck"], body["satisfied_without_events"]) == (False, True, True)
    assert (body["event_types"], body["reads_every_type"], body["figures"]) == ([], True, ["xp"])
    assert dt.datetime.fromisoformat(body["reach"]) < dt.datetime.now(dt.UTC) - dt.timedelta(days=6)


@pytest.mark.parametrize(
    ("document", "kind", "pointer", "message"),
    [
        ("{", "invalid_json", "", "line 1"),
        ('{"event": "a", "event": "b"}', "invalid_json", "/event", "written twice"),
        ({"steps": []}, "unsupported_format", "/steps", "$sequence"),
        ({"$and": [PASSED, {"$xor": []}]}, "unknown_operator", "/$and/1/$xor", "there is no entry"),
        ({"$and": []}, "invalid_criteria", "/$and", "at least one entry"),
        ([], "invalid_criteria", "", "is an object"),
        (5, "invalid_criteria", "", "is an object"),
        (json.loads('{"$not":' * 40 + "{}" + "}" * 40), "limit", "", "32 levels"),
        ({"event": PASSING_STATUS, "$comment": "x" * 70_000}, "limit", "", "64 KiB"),
        ({"event": "course.passed"}, "invalid_criteria", "/event", "there is no event type course.passed"),
        (
            {"$or": [PASSED, {"$sequence": {"sequence": [PASSING_STATUS, "houba"]}}]},
            "invalid_criteria",
            "/$or/1/$sequence/sequence/1",
            "there is no event type houba",
        ),
    ],
)
def test_a_wrong_document_is_answered_with_its_kind_its_place_and_what_to_write(
    designer: Any, document: Any, kind: str, pointer: str, message: str
) -> None:
    for address, more in ((VALIDATE, {}), (EVALUATE, {"events": []})):
        status, body = post(designer, address, {"document": document, **more})
        (error,) = body["errors"]
        assert (status, error["field"], error["kind"], error["pointer"]) == (400, "document", kind, pointer)
        assert message in error["detail"]


def test_every_event_type_that_is_not_configured_is_named_as_saving_names_it(
    designer: Any, settings: Any, staff_client: Callable[..., Any]
) -> None:
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS]}
    other = "org.openedx.learning.course.enrollment.created.v1"
    document = {"$and": [{"event": other}, PASSED, {"event": "houba"}]}
    _, body = post(designer, VALIDATE, {"document": document})
    assert [error["pointer"] for error in body["errors"]] == ["/$and/0/event", "/$and/2/event"]
    assert f"{other} is not configured here" in body["errors"][0]["detail"]
    entry = {"slug": "houba", "name": "Houba", "requirements": [], "criteria": document}
    saved = staff_client("add_badgetemplate").post("/api/badges/v1/templates/", entry, content_type="application/json")
    assert [(error["field"], error["kind"], error["detail"]) for error in saved.json()["errors"]] == [
        (f"criteria{error['pointer']}", error["kind"], error["detail"]) for error in body["errors"]
    ]


@pytest.mark.parametrize("body", [{}, [], None, 5, {"document": None}, {"document": PASSED, "templates": "houba"}])
def test_a_body_without_a_document_is_refused(designer: Any, body: Any) -> None:
    assert post(designer, VALIDATE, body)[0] == 400


@pytest.mark.parametrize("depth", [50, 500, 900, 960, 990, 5000])
def test_a_deep_document_is_refused_whatever_its_depth(designer: Any, depth: int) -> None:
    text = '{"document":' + '{"$not":' * depth + "{}" + "}" * depth + "}"
    assert designer.post(VALIDATE, text, content_type="application/json").status_code == 400
    text = '{"document": {"event": "a"}, "events": ' + "[" * depth + "]" * depth + "}"
    assert designer.post(EVALUATE, text, content_type="application/json").status_code == 400


def test_a_body_that_is_too_large_is_refused(designer: Any) -> None:
    assert post(designer, VALIDATE, {"document": {"$comment": "x" * 10_000_000}})[0] == 413
    assert post(designer, EVALUATE, {"document": {"$comment": "x" * 10_000_000}})[0] == 413


# --- evaluating over events that are given ---------------------------------------------------------------------------


def test_events_that_are_given_are_evaluated_with_what_is_missing(designer: Any) -> None:
    events = [pasted(1, is_passing=True), pasted(2, is_passing=False)]
    status, body = post(designer, EVALUATE, {"document": TWICE, "events": events, "at": AT})
    assert status == 200
    assert (body["satisfied"], body["missing"], body["at"]) == (False, ["1 of 2 events"], "2026-03-14T12:00:00Z")
    assert (body["events_read"], body["events_left_out"], body["is_complete"]) == (2, 0, True)
    assert (body["trace"]["operator"], body["trace"]["result"]) == ("event", False)
    _, body = post(designer, EVALUATE, {"document": TWICE, "events": [*events, pasted(3, is_passing=True)], "at": AT})
    assert (body["satisfied"], body["missing"]) == (True, [])


def test_a_document_that_held_once_says_when_it_was_earned(designer: Any) -> None:
    document = {"$timeWindow": {"last": "2d", "flow": TWICE}}
    events = [pasted(1, is_passing=True), pasted(2, is_passing=True), pasted(9, is_passing=True)]
    _, body = post(designer, EVALUATE, {"document": document, "events": events, "at": AT})
    assert (body["satisfied"], body["earned_at"]) == (False, "2026-03-02T10:00:00Z")
    _, body = post(designer, EVALUATE, {"document": document, "events": events[1:], "at": AT})
    assert body["earned_at"] is None


def test_the_request_of_the_reference_page_is_answered(designer: Any) -> None:
    (body,) = (block for block in code_blocks("references/rest-api", "json") if '"events"' in block)
    assert post(designer, EVALUATE, json.loads(body))[1]["satisfied"]


def test_the_trace_names_the_event_that_decided(designer: Any) -> None:
    events = [{**pasted(1, is_passing=False), "source": "here"}, {**pasted(2, is_passing=True), "source": "there"}]
    _, body = post(designer, EVALUATE, {"document": PASSED, "events": events})
    assert body["trace"]["event"] == {"source": "there", "id": "e2"}
    assert body["trace"]["children"][0]["observed"] is True


def test_a_line_of_an_event_file_is_evaluated_without_its_personal_fields(designer: Any) -> None:
    line = json.loads(line_of(*passing_status(course_key=ALGEBRA)))
    document = {"event": PASSING_STATUS, "criteria": {"course.course_key": ALGEBRA, "user.pii": {"$exists": False}}}
    status, body = post(designer, EVALUATE, {"document": document, "events": [line]})
    assert (status, body["satisfied"]) == (200, True)
    assert body["trace"]["event"] == {"source": line["source"], "id": line["id"]}


def test_events_of_a_type_of_this_site_are_evaluated_without_their_personal_fields(designer: Any) -> None:
    make_event_type()
    document = {"event": WORKSHOP, "criteria": {"minutes": {"$gte": 90}, "email": {"$exists": False}}}
    status, body = post(designer, EVALUATE, {"document": document, "events": [workshop_event()]})
    assert (status, body["satisfied"]) == (200, True)
    status, body = post(designer, EVALUATE, {"document": document, "events": [workshop_event(minutes="long")]})
    assert (status, body["errors"][0]["field"]) == (400, "events[0]")


def test_events_that_are_later_than_the_moment_are_left_out(designer: Any) -> None:
    events = [pasted(14, is_passing=True), pasted(15, is_passing=True)]
    _, body = post(designer, EVALUATE, {"document": TWICE, "events": events, "at": AT})
    assert (body["satisfied"], body["events_read"], body["events_left_out"]) == (False, 1, 1)
    later = "2026-03-15T11:00:00+01:00"
    assert post(designer, EVALUATE, {"document": TWICE, "events": events, "at": later})[1]["satisfied"]


def test_one_event_that_is_given_twice_is_one_event(designer: Any) -> None:
    events = [pasted(1, is_passing=True)] * 2
    assert not post(designer, EVALUATE, {"document": TWICE, "events": events})[1]["satisfied"]
    unnamed = [{key: value for key, value in event.items() if key != "id"} for event in events]
    assert post(designer, EVALUATE, {"document": TWICE, "events": unnamed})[1]["satisfied"]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "events[1].type"),
        (5, "events[1]"),
        ({**pasted(1), "kind": "x"}, "events[1].kind"),
        ({**pasted(1), "data": {}}, "events[1]"),
        ({**pasted(1), "time": "yesterday"}, "events[1].time"),
        ({**pasted(1), "time": "2026-03-01T10:00:00"}, "events[1].time"),
        ({**pasted(1), "time": 5}, "events[1].time"),
        ({**pasted(1), "type": "houba"}, "events[1].type"),
        ({**pasted(1), "type": "a\ud800"}, "events[1].type"),
        ({**pasted(1), "id": "x" * 256}, "events[1]"),
        ({**pasted(1), "payload": []}, "events[1].payload"),
        ({"type": PASSING_STATUS, "time": AT, "data": {"course_passing_status": {}}}, "events[1]"),
    ],
)
def test_an_event_that_is_none_is_refused_by_its_place(designer: Any, event: Any, field: str) -> None:
    status, body = post(designer, EVALUATE, {"document": PASSED, "events": [pasted(1, is_passing=True), event]})
    assert status == 400
    assert field in [error["field"] for error in body["errors"]]


@pytest.mark.parametrize("value", ["\ud800", "x" * 100_000, {"a": [["b"]]}, 10**400, None, "好" * 2000])
def test_odd_data_matches_nothing_and_is_shown(designer: Any, value: Any) -> None:
    status, body = post(designer, EVALUATE, {"document": PASSED, "events": [pasted(1, is_passing=value)]})
    assert (status, body["satisfied"]) == (200, False)
    assert len(json.dumps(body)) < 10_000


def test_a_thousand_events_are_evaluated_and_more_are_refused(designer: Any) -> None:
    events = [{**pasted(1, is_passing=True), "id": f"e{number}"} for number in range(1001)]
    status, body = post(designer, EVALUATE, {"document": TWICE, "events": events[:1000]})
    assert (status, body["events_read"]) == (200, 1000)
    status, body = post(designer, EVALUATE, {"document": TWICE, "events": events})
    assert (status, body["errors"][0]["field"]) == (400, "events")


def test_intervals_that_events_can_undo_are_evaluated_over_few_events_only(designer: Any) -> None:
    exactly_two = {"event": PASSING_STATUS, "criteria": {"$eventCount": 2}}
    once, often = ({"$or": [interval] * times} for times in (1, 40) for interval in [within("52w", exactly_two)])
    events = [{**pasted(1, is_passing=False), "id": f"e{number}"} for number in range(300)]
    assert post(designer, EVALUATE, {"document": once, "events": events})[0] == 200
    status, body = post(designer, EVALUATE, {"document": often, "events": events})
    assert (status, body["errors"][0]["field"]) == (400, "events")
    assert post(designer, EVALUATE, {"document": often, "events": events[:10]})[0] == 200


def test_intervals_inside_intervals_are_evaluated_over_as_many_events_as_any_document(designer: Any) -> None:
    document = within("52w", within("52w", within("52w", TWICE)))
    events = [{**pasted(1, is_passing=False), "id": f"e{number}"} for number in range(1000)]
    assert post(designer, EVALUATE, {"document": document, "events": events})[0] == 200


def within(window: str, conditions: Any) -> Any:
    return {"$withinTimeWindow": {"window": window, "conditions": conditions}}


# --- evaluating over what a learner did ------------------------------------------------------------------------------


def test_the_logged_events_of_a_learner_are_evaluated(designer: Any) -> None:
    learner = LearnerFactory()
    first, second = logged(learner.lms_user_id, days_ago=3), logged(learner.lms_user_id, days_ago=2, course=GEOMETRY)
    logged(LearnerFactory().lms_user_id)
    document = {
        "event": PASSING_STATUS,
        "criteria": {"is_passing": True, "$eventCount": {"$gte": 2, "distinct": "course.course_key"}},
    }
    for named in (str(learner.uuid), str(learner.lms_user_id), learner.user.username):
        _, body = post(designer, EVALUATE, {"document": document, "learner": named, "at": AT})
        assert (body["satisfied"], body["events_read"], body["is_complete"]) == (True, 2, True)
    _, body = post(designer, EVALUATE, {"document": PASSED, "learner": learner.user.username, "at": AT})
    assert body["trace"]["event"]["id"] in (first.event_id, second.event_id)


def test_the_figures_of_a_learner_are_evaluated(designer: Any) -> None:
    learner = LearnerFactory()
    before = figures.register(lambda learner_ids, names, *, now: {learner.pk: {"xp": 50}})
    try:
        document = {"$stat": {"xp": {"$gte": 50}}}
        found = [
            post(designer, EVALUATE, {"document": document, **each})[1]["satisfied"]
            for each in ({"learner": str(learner.uuid)}, {"events": []})
        ]
    finally:
        figures.register(before)
    assert found == [True, False]


def test_a_learner_is_evaluated_as_of_a_moment(designer: Any) -> None:
    learner = LearnerFactory()
    logged(learner.lms_user_id, days_ago=3)
    logged(learner.lms_user_id, days_ago=1)
    then = (NOON - dt.timedelta(days=2)).isoformat()
    _, body = post(designer, EVALUATE, {"document": TWICE, "learner": learner.user.username, "at": then})
    assert (body["satisfied"], body["events_read"]) == (False, 1)


def test_a_person_whose_events_are_logged_without_a_learner_is_found_by_the_lms_user_id(designer: Any) -> None:
    logged(4711)
    assert post(designer, EVALUATE, {"document": PASSED, "learner": "4711", "at": AT})[1]["satisfied"]


def test_events_from_before_the_lms_user_id_was_known_are_read_too(designer: Any) -> None:
    learner = LearnerFactory(lms_user_id=None)
    logged(-learner.pk)
    learner.lms_user_id = 4712  # found out later
    learner.save()
    assert post(designer, EVALUATE, {"document": PASSED, "learner": learner.user.username, "at": AT})[1]["satisfied"]


def test_only_the_newest_events_of_a_learner_are_read(designer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badges.rest_api.v1.criteria.MAX_EVENTS", 2)
    learner = LearnerFactory()
    for days_ago, passing in ((3, True), (2, False), (1, False)):
        logged(learner.lms_user_id, days_ago=days_ago, passing=passing)
    _, body = post(designer, EVALUATE, {"document": PASSED, "learner": learner.user.username, "at": AT})
    assert (body["satisfied"], body["events_read"], body["is_complete"]) == (False, 2, False)


@pytest.mark.parametrize(
    "named", ["nobody", "0", "9" * 30, "a\0", "\ud800", "", "00000000-0000-4000-8000-000000000000", "-1"]
)
def test_a_learner_that_nobody_is_is_refused_by_name(designer: Any, named: str) -> None:
    status, body = post(designer, EVALUATE, {"document": PASSED, "learner": named})
    assert (status, body["errors"][0]["field"]) == (400, "learner")


def test_the_events_of_a_learner_need_the_permission_to_view_logged_events(staff_client: Callable[..., Any]) -> None:
    learner = LearnerFactory()
    client = staff_client("change_badgetemplate")
    assert post(client, EVALUATE, {"document": PASSED, "learner": learner.user.username})[0] == 403
    assert post(client, EVALUATE, {"document": PASSED, "events": []})[0] == 200


# --- what is evaluated -----------------------------------------------------------------------------------------------


def test_the_document_of_a_template_is_evaluated(designer: Any) -> None:
    make_template(slug="houba", requirements=[], criteria=TWICE)
    events = [pasted(1, is_passing=True), pasted(2, is_passing=True)]
    assert post(designer, EVALUATE, {"template": "houba", "events": events})[1]["satisfied"]


def test_of_the_logged_events_those_are_evaluated_that_count_for_the_template(designer: Any) -> None:
    saved = NOON - dt.timedelta(days=2)
    make_template(slug="houba", requirements=[], criteria=TWICE, now=saved)
    learner = LearnerFactory()
    early, late = logged(learner.lms_user_id, days_ago=3), logged(learner.lms_user_id, days_ago=1)
    LoggedEvent.objects.filter(pk=early.pk).update(received_at=saved - dt.timedelta(seconds=1))
    LoggedEvent.objects.filter(pk=late.pk).update(received_at=saved)
    asked = {"learner": learner.user.username, "at": AT}

    _, body = post(designer, EVALUATE, {"template": "houba", **asked})
    assert (body["satisfied"], body["events_read"], body["events_before"]) == (False, 1, 1)
    assert body["counts_from"] == "2026-03-12T12:00:00Z"

    _, body = post(designer, EVALUATE, {"document": TWICE, **asked})
    assert (body["satisfied"], body["events_read"], body["events_before"]) == (True, 2, 0)
    assert body["counts_from"] is None


def test_events_of_the_body_all_count_whenever_the_template_was_saved(designer: Any) -> None:
    make_template(slug="houba", requirements=[], criteria=TWICE, now=NOON + dt.timedelta(days=365))
    events = [pasted(1, is_passing=True), pasted(2, is_passing=True)]
    assert post(designer, EVALUATE, {"template": "houba", "events": events})[1]["satisfied"]


def test_a_template_that_was_never_active_is_tried_over_all_logged_events(designer: Any) -> None:
    make_template(slug="houba", requirements=[], criteria=PASSED, is_active=False, now=NOON + dt.timedelta(days=1))
    logged(4713)
    assert post(designer, EVALUATE, {"template": "houba", "learner": "4713", "at": AT})[1]["satisfied"]


def test_a_template_that_has_no_document_or_is_none_is_refused(designer: Any, settings: Any) -> None:
    make_template(slug="houba")
    make_template(slug="marsu", requirements=[], criteria=TWICE)
    for slug in ("houba", "nothing", "a\0b"):
        status, body = post(designer, EVALUATE, {"template": slug, "events": []})
        assert (status, body["errors"][0]["field"]) == (400, "template")
    settings.LMS_BADGES_CONFIG = {"events": []}
    _, body = post(designer, EVALUATE, {"template": "marsu", "events": []})
    assert [(error["field"], error["pointer"]) for error in body["errors"]] == [("template", "/event")]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"document": PASSED},
        {"events": []},
        {"document": PASSED, "template": "houba", "events": []},
        {"document": PASSED, "events": [], "learner": "houba"},
        {"document": PASSED, "events": {}},
        {"document": PASSED, "events": None},
        {"document": PASSED, "events": [], "at": "yesterday"},
        {"document": PASSED, "events": [], "at": "2026-03-14T12:00:00"},
        {"document": PASSED, "events": [], "at": 5},
        {"document": PASSED, "events": [], "now": AT},
    ],
)
def test_what_is_not_one_document_and_one_source_of_events_is_refused(designer: Any, body: Any) -> None:
    status, answer = post(designer, EVALUATE, body)
    assert status == 400
    assert answer["errors"]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_moment_at_the_end_of_time_is_a_moment(designer: Any, at: str) -> None:
    learner = LearnerFactory()
    document = {"$timeWindow": {"last": "99999y", "flow": PASSED}}
    for of in ({"events": []}, {"learner": learner.user.username}):
        assert post(designer, EVALUATE, {"document": document, "at": at, **of})[0] == 200


def test_learners_may_not_try_documents(learner_client: Any) -> None:
    for address in (VALIDATE, EVALUATE):
        assert post(learner_client, address, {"document": PASSED, "events": []})[0] == 403


def test_nothing_is_written(designer: Any) -> None:
    make_template(slug="houba", requirements=[], criteria=PASSED)
    learner = LearnerFactory()
    logged(learner.lms_user_id)
    assert post(designer, EVALUATE, {"template": "houba", "learner": learner.user.username, "at": AT})[1]["satisfied"]
    assert not UserCredential.objects.exists()
    assert BadgeTemplate.objects.get().revisions.count() == 1
