"""Members of the group of a bus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.bus_members import Member
    from tests.support.event_bus import Bus, BusOnKafka, BusOnRedis


@pytest.fixture
def member(bus: Bus) -> Iterator[Callable[..., Member]]:
    """Make consumers of the bus."""
    yield from _members(bus)


@pytest.fixture
def kafka_member(kafka_bus: BusOnKafka) -> Iterator[Callable[..., Member]]:
    """Make consumers of the bus on Kafka."""
    yield from _members(kafka_bus)


@pytest.fixture
def redis_member(redis_bus: BusOnRedis) -> Iterator[Callable[..., Member]]:
    """Make consumers of the bus on Redis."""
    yield from _members(redis_bus)


def _members(bus: Bus) -> Iterator[Callable[..., Member]]:
    from tests.support.bus_members import Member  # noqa: PLC0415 -- Django is not ready when this file is imported

    members: list[Member] = []

    def make(**options: Any) -> Member:
        members.append(Member(bus, **options))
        return members[-1]

    yield make
    for one in members:
        one.stop.request()
    for one in members:
        if one._thread.ident:
            one.join()
