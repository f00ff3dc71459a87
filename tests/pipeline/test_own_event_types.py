"""Events of this site's own types: they are decided, logged and explained like any other."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from badges import pipeline
from badges.api import credentials_of, explain, process_pending
from badges.catalog import event_types, own_event_types
from badges.history.models import LoggedEvent
from badges.intake import inbox
from badges.intake.events import event_from_envelope
from badges.intake.models import InboxMessage, InboxState, Learner, LearnerIdentity
from tests.factories import (
    NOON,
    WORKSHOP,
    UserFactory,
    event_type_entry,
    make_event_type,
    make_template,
    workshop_event,
    workshop_requirement,
)
from tests.support.statement_counts import counted_statements

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def learner() -> Learner:
    return Learner.objects.create(lms_user_id=41, user=UserFactory(username="ada"))


@pytest.fixture
def sailor() -> Any:
    make_event_type()
    return make_template(slug="sailor", requirements=[workshop_requirement()])


def read_file(path: Path, *events: Any) -> None:
    file = path / "events.jsonl"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    with contextlib.suppress(CommandError):  # it says which lines could not be read
        call_command("consume_badge_events", "--bus", "file", "--input", str(file))


def test_an_event_of_a_file_earns_a_badge_and_is_logged_without_personal_data(tmp_path, learner, sailor):
    read_file(tmp_path, workshop_event(minutes=30, id="houba-0"), workshop_event())
    assert [held.template.slug for held in credentials_of(learner)] == ["sailor"]
    logged = LoggedEvent.objects.get(event_id="houba-1")
    assert json.loads(logged.data) == {"minutes": 90, "user_id": 41, "workshop": "knots"}
    (explained,) = explain(learner, "sailor").requirements
    assert [fulfillment.cause_event_id for fulfillment in explained.fulfillments] == ["houba-1"]
    assert {step.path: step.result for step in explained.evaluations[0].steps} == {"minutes": True}


def test_what_the_schema_refuses_becomes_a_dead_letter_that_names_the_path_and_can_be_tried_again(
    tmp_path, learner, sailor
):
    read_file(tmp_path, workshop_event(minutes=-5), workshop_event(id="houba-2", workshop=None))
    reasons = set(InboxMessage.objects.values_list("state", "reason"))
    assert reasons == {
        (InboxState.DEAD, "data.minutes: expected at least 0"),
        (InboxState.DEAD, "data.workshop: expected text"),
    }
    # The same schema refuses it again. A corrected one takes it.
    inbox.requeue(InboxMessage.objects.all(), now=timezone.now())
    assert process_pending().dead == 2
    entry = event_type_entry()
    del entry["schema"]["properties"]["minutes"]["minimum"]
    own_event_types.save_document(entry, now=NOON)
    inbox.requeue(InboxMessage.objects.filter(reason__contains="minutes"), now=timezone.now())
    assert process_pending().dead == 0


def test_a_stored_event_is_decided_although_its_type_demands_more_by_now(learner, sailor):
    entry = event_type_entry()
    event = event_of(workshop_event(minutes=70))
    assert pipeline.receive(event)
    entry["schema"]["properties"]["minutes"]["minimum"] = 80
    own_event_types.save_document(entry, now=NOON)
    assert process_pending().awarded == 1


def test_an_event_without_optional_fields_is_stored_and_read_again(learner, sailor):
    make_template(slug="any", requirements=[workshop_requirement(user_id=1)])
    event = workshop_event()
    del event["data"]["minutes"], event["data"]["email"]
    assert pipeline.receive(event_of(event))
    assert process_pending().awarded == 1


def test_a_learner_may_be_known_by_an_id_of_another_system(learner):
    make_event_type(learner_path="external:https://idp.example.org:workshop")
    make_template(slug="sailor", requirements=[workshop_requirement()])
    LearnerIdentity.objects.create(learner=learner, issuer="https://idp.example.org", subject="knots")
    result = pipeline.handle([event_of(workshop_event()), event_of(workshop_event(id="houba-3", workshop="nobody"))])
    assert result.awarded == 1
    assert result.ignored == {(WORKSHOP, "no learner"): 1}


def test_events_of_an_inactive_type_are_counted_and_those_of_a_deleted_one_are_dead_letters(tmp_path):
    make_event_type(is_active=False)
    read_file(tmp_path, workshop_event())
    assert not InboxMessage.objects.exists()
    make_event_type(is_active=True).delete()
    read_file(tmp_path, workshop_event())
    assert "this site has no event type of this name" in InboxMessage.objects.get().reason


def test_a_batch_of_own_events_costs_as_much_as_any_other(learner, sailor):
    pipeline.warm_up()
    costs = []
    for first, size in ((1, 1), (100, 200)):
        batch = [event_of(workshop_event(id=f"e{number}")) for number in range(first, first + size)]
        with counted_statements() as statements:
            pipeline.handle(batch)
        costs.append(len(statements))
    assert costs[1] <= costs[0] <= 22


def event_of(envelope: dict[str, Any]) -> Any:
    definition = event_types.get(envelope["type"])
    return event_from_envelope(definition, envelope, received_from="test")
