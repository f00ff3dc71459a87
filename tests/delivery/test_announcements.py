"""What the public signals say, in this process and on the bus."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from openedx_events.learning.signals import BADGE_AWARDED

from badges import delivery
from badges.announcements import badge_data
from badges.awarding.models import UserCredential
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import OutboxMessage, OutboxState
from tests.factories import LearnerFactory, UserCredentialFactory, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

AWARDED_AT = dt.datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=dt.UTC)


@pytest.fixture
def credential() -> UserCredential:
    template = make_template(name="大三巴 الجبر", description="For algebra", image_url="https://example.org/star.png")
    learner = LearnerFactory(
        lms_user_id=4711, user__username="Yosra", user__email="yosra@example.org", user__first_name="يسرا"
    )
    return UserCredentialFactory(learner=learner, template=template, awarded_at=AWARDED_AT)


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What receivers of this process are told."""
    told: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        told.append(kwargs)

    BADGE_AWARDED.connect(listen, weak=False)
    yield told
    BADGE_AWARDED.disconnect(listen)


def announce(credential: UserCredential, type: str = "badge.awarded") -> OutboxMessage:
    message = NewMessage("announce", str(credential.learner_id), type, {"credential": str(credential.pk)})
    with transaction.atomic():
        mailbox.post([message])
    return OutboxMessage.objects.latest("sequence")


def test_receivers_hear_who_was_awarded_what_and_when(credential: UserCredential, heard: list[dict[str, Any]]) -> None:
    message = announce(credential)
    assert delivery.drain().delivered == 1
    (told,) = heard
    badge, metadata = told["badge"], told["metadata"]
    assert badge.uuid == str(credential.pk)
    assert (badge.user.id, badge.user.is_active) == (4711, True)
    assert (badge.user.pii.username, badge.user.pii.email) == ("Yosra", "yosra@example.org")
    assert badge.user.pii.name == credential.learner.user.get_full_name()
    template = credential.template
    assert (badge.template.uuid, badge.template.origin) == (str(template.uuid), "openedx")
    assert (badge.template.name, badge.template.description) == ("大三巴 الجبر", "For algebra")
    assert badge.template.image_url == "https://example.org/star.png"
    assert (metadata.id, metadata.time, metadata.minorversion) == (message.id, AWARDED_AT, 0)
    assert metadata.event_type == "org.openedx.learning.badge.awarded.v1"


def test_nobody_publishes_it_a_second_time(credential: UserCredential, heard: list[dict[str, Any]]) -> None:
    announce(credential)
    delivery.drain()
    assert [told["from_event_bus"] for told in heard] == [True]


def test_every_try_has_the_same_id(credential: UserCredential, heard: list[dict[str, Any]]) -> None:
    announce(credential)
    delivery.drain()
    OutboxMessage.objects.update(state=OutboxState.PENDING, due_at=AWARDED_AT)
    delivery.drain()
    first, second = heard
    assert first["metadata"].id == second["metadata"].id


def test_a_learner_whose_account_is_gone_is_announced_by_id(
    credential: UserCredential, heard: list[dict[str, Any]]
) -> None:
    credential.learner.user.delete()
    announce(credential)
    assert delivery.drain().delivered == 1
    user = heard[0]["badge"].user
    assert (user.id, user.pii.username, user.pii.email, user.pii.name) == (4711, "", "", "")


def test_a_credential_that_is_gone_is_a_dead_letter(credential: UserCredential) -> None:
    message = announce(credential)
    credential.delete()
    assert delivery.drain().dead == 1
    message.refresh_from_db()
    assert "nothing to announce" in message.last_error


def test_an_unknown_happening_is_a_dead_letter_that_names_the_known_ones(credential: UserCredential) -> None:
    message = announce(credential, type="badge.polished")
    assert delivery.drain().dead == 1
    message.refresh_from_db()
    assert "'badge.polished'" in message.last_error
    assert "badge.awarded" in message.last_error


def test_what_is_announced_can_go_over_the_bus_even_without_an_account(credential: UserCredential) -> None:
    from openedx_events.event_bus.avro.serializer import serialize_event_data_to_bytes  # noqa: PLC0415

    credential.learner.user = None
    assert serialize_event_data_to_bytes({"badge": badge_data(credential)}, BADGE_AWARDED)


def test_a_producer_that_cannot_be_made_keeps_the_announcement(
    credential: UserCredential, heard: list[dict[str, Any]], settings: Any
) -> None:
    settings.EVENT_BUS_PRODUCER = "no.such.producer"
    message = announce(credential)
    with pytest.warns(UserWarning, match="Failed to load"):
        assert delivery.drain().rescheduled == 1
    message.refresh_from_db()
    assert "no.such.producer" in message.last_error
    assert heard == []
