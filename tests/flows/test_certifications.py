"""What a certification service relies on: a completed certification gives its badges, each once to each learner."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from badges import api, pipeline
from badges.flows.models import CertificationAward, CertificationCompletion, CertificationMapping
from badges.intake import flow_events
from badges.intake.consumers import json_messages
from badges.intake.events import Event
from badges.intake.models import InboxMessage, Learner
from tests.factories import LearnerFactory, make_template
from tests.flows.senders import NOON, completed, reasons, states, take, work
from tests.support.constraints import again, refused
from tests.support.kafka_doubles import received
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def gives(certification: str, *slugs: str) -> None:
    for slug in slugs:
        template = make_template(slug=slug, requirements=[], is_active=False)
        CertificationMapping.objects.create(certification_id=certification, template=template)


def held(learner: Any) -> list[str]:
    rows = api.credentials_of(learner).filter(status="awarded")
    return sorted(rows.values_list("template__slug", flat=True))


def test_a_completed_certification_gives_all_its_badges_and_the_event_is_the_cause() -> None:
    gives("Rust-101", "rust", "低レベル")
    learner = LearnerFactory()
    assert take(completed(learner, "Rust-101", id="c-1", source="academy")).awarded == 2
    assert held(learner) == ["rust", "低レベル"]
    credential = api.credentials_of(learner, template="rust").get()
    assert (credential.cause_event_source, credential.cause_event_id) == ("academy", "c-1")
    assert credential.cause_event_type == "certifications.certificationCompleted.v1"
    completion = CertificationCompletion.objects.get()
    assert completion.certification_id == "Rust-101"
    assert completion.event_time == dt.datetime(2026, 3, 9, 6, 0, tzinfo=dt.UTC)


def test_the_same_completion_again_gives_nothing_even_after_the_badge_was_lost() -> None:
    gives("Rust-101", "rust")
    learner = LearnerFactory()
    take(completed(learner, "Rust-101"), completed(learner, "Rust-101"))
    api.revoke(learner, "rust")
    assert take(completed(learner, "Rust-101")).awarded == 0
    assert held(learner) == []
    assert CertificationCompletion.objects.count() == 1


def test_two_certifications_of_one_badge_give_it_once() -> None:
    gives("Rust-101", "rust")
    CertificationMapping.objects.create(
        certification_id="Rust-201", template=CertificationMapping.objects.get().template
    )
    learner = LearnerFactory()
    take(completed(learner, "Rust-101"))
    api.revoke(learner, "rust")
    take(completed(learner, "Rust-201"))
    assert held(learner) == []
    assert CertificationAward.objects.count() == 1


def test_without_a_mapping_the_completion_is_stored_and_nothing_else() -> None:
    learner = LearnerFactory()
    take(completed(learner, "Knots"))
    assert states() == ["processed"]
    assert CertificationCompletion.objects.filter(certification_id="Knots", learner=learner).exists()
    assert held(learner) == []


def bare(learner: Learner) -> Event:
    """Return a completion of ``Rust-101`` that came as data alone."""
    data = {"accountId": str(learner.uuid), "certificationId": "Rust-101", "completedAt": "2026-03-09T08:00:00Z"}
    message = received(json.dumps(data).encode())
    event = json_messages.read(message, event_bytes=10_000, bare_type=flow_events.COMPLETED)
    assert isinstance(event, Event)
    return event


def test_a_completion_that_came_as_data_alone_is_sent_again_for_a_mapping_that_came_later() -> None:
    learner, other = LearnerFactory.create_batch(2)
    take(bare(learner), bare(other))
    InboxMessage.objects.update(payload=None)  # as after some weeks
    gives("Rust-101", "ferris")
    assert take(bare(learner), bare(other)).awarded == 2
    api.revoke(learner, "ferris")
    assert take(bare(learner), bare(other)).awarded == 0
    assert states() == ["processed", "processed"]
    api.retire(other)
    take(bare(other))
    assert set(InboxMessage.objects.filter(payload__isnull=False).values_list("event_id")) == {(bare(learner).id,)}


def test_ids_that_differ_in_case_are_two_certifications() -> None:
    gives("rust-101", "rust")
    learner = LearnerFactory()
    take(completed(learner, "Rust-101"))
    assert held(learner) == []


def test_a_completion_waits_for_its_account_and_then_gives_the_badge() -> None:
    gives("Rust-101", "rust")
    account = "0190e3c0-0000-7000-b000-00000000abcd"
    take(completed(account, "Rust-101"), completed(LearnerFactory(), "Rust-101"))
    assert states() == ["pending", "processed"]
    learner = LearnerFactory(uuid=account)
    work(now=NOON + dt.timedelta(minutes=1))
    assert held(learner) == ["rust"]
    assert states() == ["processed", "processed"]


def test_a_completion_whose_account_never_comes_is_a_dead_letter_in_the_end() -> None:
    account = "0190e3c0-0000-7000-b000-00000000abcd"
    take(completed(account, "Rust-101"))
    now, tries = NOON, 0
    while (row := InboxMessage.objects.get()).state == "pending":
        assert row.due_at is not None
        assert row.due_at - now <= dt.timedelta(minutes=10)
        now, tries = row.due_at, tries + 1
        work(now=now)
    assert tries > 400
    assert now - NOON >= dt.timedelta(hours=72)
    assert "Nobody here has the account id" in reasons()[0]


def test_a_template_that_is_not_active_gives_nothing_until_it_is_and_the_event_comes_again() -> None:
    template = make_template(slug="rust", is_active=False)  # with a requirement, so it could be active
    CertificationMapping.objects.create(certification_id="Rust-101", template=template)
    learner = LearnerFactory()
    take(completed(learner, "Rust-101"))
    assert held(learner) == []
    make_template(slug="rust", is_active=True)
    take(completed(learner, "Rust-101"))
    assert held(learner) == ["rust"]


def test_a_completion_that_could_not_give_all_is_a_dead_letter_until_the_same_event_comes_again() -> None:
    gives("Rust-101", "rust")
    template = make_template(slug="comet", is_active=False)
    CertificationMapping.objects.create(certification_id="Rust-101", template=template)
    learner, other = LearnerFactory(), LearnerFactory()
    event = completed(learner, "Rust-101")
    gives("Knots", "knots")

    assert take(event, completed(other, "Knots")).dead == 1

    assert "not active" in reasons()[0]
    assert (held(learner), held(other)) == (["rust"], ["knots"])
    make_template(slug="comet", is_active=True)
    assert take(event).awarded == 1
    assert held(learner) == ["comet", "rust"]
    assert states() == ["processed", "processed"]
    make_template(slug="comet", is_active=False)
    assert take(completed(learner, "Rust-101")).dead == 0, "the learner was given it before"


def test_a_badge_that_a_person_took_away_stays_away() -> None:
    gives("Rust-101", "rust")
    learner = LearnerFactory()
    api.award(learner, "rust")
    api.revoke(learner, "rust", block=True)
    assert take(completed(learner, "Rust-101")).awarded == 0
    assert held(learner) == []


def test_a_retirement_removes_what_was_completed() -> None:
    gives("Rust-101", "rust")
    learner = LearnerFactory()
    take(completed(learner, "Rust-101"))
    api.retire(learner)
    assert not CertificationCompletion.objects.exists()
    assert not CertificationAward.objects.exists()
    assert api.credentials_of(learner).count() == 1


def test_the_database_keeps_each_of_these_once() -> None:
    gives("Rust-101", "rust")
    take(completed(LearnerFactory(), "Rust-101"))
    for model in (CertificationMapping, CertificationCompletion, CertificationAward):
        refused(again(model.objects.get()))
    refused(lambda: CertificationMapping.objects.update(certification_id=""))


def test_two_workers_give_a_badge_once_when_two_certifications_of_it_arrive_together() -> None:
    gives("Rust-101", "rust")
    template = CertificationMapping.objects.get().template
    CertificationMapping.objects.create(certification_id="Rust-201", template=template)
    learners = LearnerFactory.create_batch(8)
    pipeline.handle([completed(learner, f"Rust-{n}") for learner in learners for n in (101, 201)], now=NOON)

    def drain() -> int:
        awarded = 0
        while (result := pipeline.process_pending(limit=2, now=NOON)).seen:
            awarded += result.awarded
        return awarded

    awarded = sum(outcomes_at_once([drain] * 3))
    # What the threads left to each other.
    assert awarded + drain() == len(learners)
    assert [held(learner) for learner in learners] == [["rust"]] * len(learners)
    assert CertificationCompletion.objects.count() == 2 * len(learners)
    assert set(states()) == {"processed"}
