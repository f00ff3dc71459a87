"""Events by REST: each is taken or refused by itself, counts once, and nobody can speak for the LMS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from badges.api import credentials_of, process_pending
from badges.catalog import event_types
from badges.conf import PASSING_STATUS
from badges.history.models import LoggedEvent
from badges.intake.models import InboxMessage, InboxState, Learner, LearnerIdentity
from tests.factories import (
    WORKSHOP,
    UserFactory,
    make_event_type,
    make_template,
    workshop_event,
    workshop_requirement,
)
from tests.rest_api.schema import assert_as_promised
from tests.support.learner_factories import signed_in, somebody
from tests.support.statement_counts import counted_statements

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/badges/v1/events/"


@pytest.fixture
def learner() -> Learner:
    return Learner.objects.create(lms_user_id=41, user=UserFactory(username="ada"))


@pytest.fixture
def send(db: None) -> Callable[..., Any]:
    make_event_type()
    client = signed_in(somebody("send_eventtype", username="zeppelin"))

    def post(body: Any) -> Any:
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return client.post(URL, text, content_type="application/json")

    return post


def statuses(response: Any) -> list[str]:
    assert response.status_code == 202, response.content
    return [event["status"] for event in assert_as_promised(response, URL, "post")["events"]]


def errors(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    return {error["field"]: error["detail"] for error in response.json()["errors"]}


def test_an_event_is_accepted_once_and_earns_a_badge(send, learner):
    make_template(slug="sailor", requirements=[workshop_requirement()])
    assert statuses(send(workshop_event())) == ["accepted"]
    assert statuses(send(workshop_event())) == ["duplicate"]
    row = InboxMessage.objects.get()
    assert (row.source, row.event_id, row.state) == ("rest/zeppelin", "houba-1", InboxState.PENDING)
    assert process_pending().awarded == 1
    assert [held.template.slug for held in credentials_of(learner)] == ["sailor"]
    assert statuses(send(workshop_event())) == ["duplicate"]


def test_what_became_of_each_event_is_answered_in_their_order(send, learner):
    bad = workshop_event(id="bad", minutes=-1)
    response = send([workshop_event(), bad, workshop_event(), workshop_event(id="who", user_id=99), 5])
    assert statuses(response) == ["accepted", "refused", "duplicate", "unknown_learner", "refused"]
    body = response.json()
    assert [event["id"] for event in body["events"]] == ["houba-1", "bad", "houba-1", "who", None]
    assert body["events"][1]["errors"] == [{"field": "data.minutes", "detail": "expected at least 0"}]
    assert {name: body[name] for name in ("accepted", "duplicate", "unknown_learner", "refused")} == {
        "accepted": 1,
        "duplicate": 1,
        "unknown_learner": 1,
        "refused": 2,
    }


def test_an_event_about_somebody_unknown_is_logged_and_new_when_it_comes_again(send):
    assert statuses(send(workshop_event())) == ["unknown_learner"]
    assert not InboxMessage.objects.exists()
    assert LoggedEvent.objects.get().person == 41
    Learner.objects.create(lms_user_id=41)
    assert statuses(send(workshop_event())) == ["accepted"]
    process_pending()
    assert LoggedEvent.objects.count() == 1


def test_a_person_may_be_known_by_an_id_of_another_system(send, learner):
    make_event_type(learner_path="external:https://idp.example.org:workshop")
    LearnerIdentity.objects.create(learner=learner, issuer="https://idp.example.org", subject="knots")
    assert statuses(send([workshop_event(), workshop_event(id="2", workshop="x")])) == ["accepted", "unknown_learner"]


def test_an_event_that_meets_no_requirement_is_a_duplicate_too_when_it_comes_again(send, learner):
    assert statuses(send(workshop_event())) == ["accepted"]
    process_pending()
    assert InboxMessage.objects.get().state == InboxState.UNMATCHED
    assert statuses(send(workshop_event())) == ["duplicate"]


def test_two_senders_may_use_the_same_id(send, learner):
    other = signed_in(somebody("send_eventtype", username="other"))
    assert statuses(send(workshop_event())) == ["accepted"]
    again = other.post(URL, json.dumps(workshop_event()), content_type="application/json")
    assert statuses(again) == ["accepted"]


@pytest.mark.parametrize(
    ("change", "path", "detail"),
    [
        ({"type": PASSING_STATUS}, "type", "come from the LMS"),
        ({"type": "org.openedx.learning.new.thing.v1"}, "type", "come from the LMS"),
        ({"type": "com.example.nothing.v1"}, "type", "no event type of this name"),
        ({"type": "com.example.asleep.v1"}, "type", "it is not active"),
        ({"type": 5}, "type", "expected text"),
        ({"type": None}, "type", "is missing"),
        ({"source": "openedx/lms/web"}, "source", "leave it out"),
        ({"id": None}, "id", "is missing"),
        ({"id": ""}, "id", "expected text"),
        ({"id": "x" * 256}, "id", "at most 255 characters"),
        ({"id": "\u0000"}, "id", "printable"),
        ({"time": "yesterday"}, "time", "expected a time with its offset"),
        ({"time": "2999-01-01T00:00:00Z"}, "time", "at most 5 minutes ahead"),
        ({"data": None}, "data", "is missing"),
        ({"data": []}, "data", "expected an object"),
        ({"data": {"user_id": 41}}, "data.workshop", "is missing"),
        ({"data": {"user_id": "41", "workshop": "x"}}, "data.user_id", "expected an integer"),
        ({"data": {"user_id": -41, "workshop": "x"}}, "", "ids are positive"),
        ({"extra": 1}, "", "known are id, type, data"),
        ({"specversion": "0.3"}, "specversion", "write 1.0"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_refused_event_is_told_why_at_its_path(send, learner, change, path, detail):
    make_event_type(name="com.example.asleep.v1", is_active=False)
    sent = workshop_event() | change
    assert detail in errors(send(sent))[path]
    assert detail in errors(send([sent]))[f"[0].{path}" if path else "[0]"]
    assert not InboxMessage.objects.exists()


def test_a_refused_event_is_told_all_places_where_its_data_is_wrong(send, learner):
    good = workshop_event(id="good")
    wrong = workshop_event() | {"data": {"user_id": "41", "minutes": -1}}
    _, refused = send([good, wrong]).json()["events"]
    assert {error["field"]: error["detail"] for error in refused["errors"]} == {
        "data.workshop": "is missing",
        "data.user_id": "expected an integer",
        "data.minutes": "expected at least 0",
    }
    assert errors(send({"specversion": "1.0"})) == dict.fromkeys(("id", "type", "data"), "is missing")


@pytest.mark.parametrize("body", ["[]", "5", "null", '"x"', "{", '{"id": NaN}', "[" * 100_000])
def test_a_body_without_events_is_refused(send, body):
    assert send(body).status_code == 400


def test_the_time_is_now_when_it_is_left_out(send, learner):
    event = workshop_event()
    del event["time"]
    before = timezone.now()
    assert statuses(send(event)) == ["accepted"]
    assert before <= InboxMessage.objects.get().event_time <= timezone.now()


def test_names_of_any_script_and_numbers_of_javascript_are_taken(send, learner):
    assert statuses(send(workshop_event(id="ω-событие-イベント", workshop="узлы", minutes=90.0))) == ["accepted"]
    assert '"minutes":90,' in InboxMessage.objects.get().payload


def test_a_body_that_is_too_large_is_not_read_to_its_end(send):
    assert send(b'{"id": "' + b"x" * 10_000_000 + b'"}').status_code == 413


def test_there_is_a_limit_to_the_number_of_events(send, learner, settings):
    settings.LMS_BADGES_CONFIG = {"rest_api": {"events_per_request": 2}}
    events = [workshop_event(id=str(number)) for number in range(3)]
    assert "1 to 2 events" in errors(send(events))[""]
    assert statuses(send(events[:2])) == ["accepted"] * 2


def test_there_is_a_limit_to_the_number_of_requests(send, learner, settings):
    settings.LMS_BADGES_CONFIG = {"rest_api": {"event_requests_per_minute": 1}}
    assert send(workshop_event()).status_code == 202
    response = send(workshop_event())
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0


def test_only_those_who_may_send_events_can(staff_client, client):
    body = json.dumps(workshop_event())
    assert client.post(URL, body, content_type="application/json").status_code == 401
    others = staff_client("view_eventtype", "change_eventtype")
    assert others.post(URL, body, content_type="application/json").status_code == 403


def test_a_request_costs_the_same_for_any_number_of_events(send, learner):
    send(workshop_event(id="first"))
    costs = []
    for first, size in ((1, 1), (100, 400)):
        with counted_statements() as statements:
            send([workshop_event(id=str(number)) for number in range(first, first + size)])
        costs.append([statement[:40] for statement in statements if "lms_badges_inboxmessage" in statement])
    assert len(costs[0]) == len(costs[1]) == 2


def test_a_type_that_another_process_has_changed_is_noticed(send, learner):
    event_types.at(0)
    assert WORKSHOP not in event_types.configured()
    assert statuses(send(workshop_event())) == ["accepted"]
