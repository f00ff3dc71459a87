"""Finding who delivers a channel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from badges.announcements import announce
from badges.issuers.credly.issuer import channel
from badges.outbox import channels
from badges.outbox.channels import ChannelMissing
from badges.outbox.models import OutboxMessage


class Pigeon:
    """A channel of somebody else's."""

    def __call__(self, message: OutboxMessage) -> None:
        pass


@pytest.fixture
def pigeon() -> Iterator[Pigeon]:
    handler = Pigeon()
    channels.register("pigeon", handler)
    yield handler
    channels.unregister("pigeon")


def test_our_own_channels_are_installed() -> None:
    assert channels.handler_of("announce") is announce
    assert channels.handler_of("credly") is channel


def test_a_registered_handler_delivers_its_channel(pigeon: Pigeon) -> None:
    assert channels.handler_of("pigeon") is pigeon


def test_a_channel_that_nobody_delivers_is_tried_again_and_names_the_remedy() -> None:
    with pytest.raises(ChannelMissing, match=r"'telegraph'.*Install the package.*badges\.channels"):
        channels.handler_of("telegraph")


def test_a_handler_without_circuits_has_none(pigeon: Pigeon) -> None:
    assert channels.circuits_of(pigeon, [OutboxMessage()]) == [()]
