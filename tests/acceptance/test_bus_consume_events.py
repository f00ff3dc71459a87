"""What an operator of the bus's own ``consume_events`` relies on: an event that it acknowledges was stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.bus_helpers import count, holders, passes, take_down, template
from tests.services.processes import Process
from tests.support.event_bus import Bus

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bus(bus: Bus) -> Bus:
    return bus.create_topic()


@pytest.fixture
def stock_consumer(run_manage: Callable[..., Process], bus: Bus) -> Callable[..., Process]:
    def start(*, debug: bool = False, **config: Any) -> Process:
        env = {**bus.env, "LMS_BADGES_CONFIG": json.dumps(config), "DEBUG": "1" if debug else ""}
        return run_manage("consume_events", *bus.stock_arguments, env=env)

    return start


def waiting() -> int:
    return count("SELECT COUNT(*) FROM lms_badges_inboxmessage WHERE state = 'pending'")


@pytest.mark.parametrize("debug", [False, True], ids=["DEBUG off", "DEBUG on"])
def test_its_events_become_badges(
    bus: Bus, stock_consumer: Callable[..., Process], run_manage: Callable[..., Process], debug: bool
) -> None:
    template()
    bus.send(passes(1), passes(2, name="祖冲之"), passes(3, course=1))
    process = stock_consumer(debug=debug)
    process.wait_until(lambda: bus.acknowledged() == 3, what="the acknowledgement of all")
    process.kill()
    assert waiting() == 2  # no rule matches the third
    # Issuing at Credly cannot succeed here, because no organization is configured.
    drained = run_manage("badges_drain", env=bus.env)
    drained.wait_until(lambda: holders() == [1, 2], what="both holders")
    assert waiting() == 0


@pytest.mark.tables
@pytest.mark.parametrize("debug", [False, True], ids=["DEBUG off", "DEBUG on"])
def test_while_the_database_is_down_it_acknowledges_nothing_and_leaves(
    bus: Bus, stock_consumer: Callable[..., Process], database_server: Any, debug: bool
) -> None:
    template()
    process = stock_consumer(debug=debug, intake={"give_up_seconds": 3})
    bus.send(passes(1))
    process.wait_until(lambda: bus.acknowledged() == 1, what="the acknowledgement of the first")
    take_down(database_server)
    bus.send(passes(2), passes(3))
    assert process.wait() == 75
    assert "is not acknowledged" in process.output()
    assert "houba2" not in process.output()
    database_server.start()
    assert bus.acknowledged() == 1
    if not debug:  # once is enough, because the broker waits a whole session for the member that left
        again = stock_consumer()
        again.wait_until(lambda: bus.acknowledged() == 3, seconds=180, what="the acknowledgement of all")
        assert waiting() == 3


@pytest.mark.tables
def test_a_database_that_is_back_soon_does_not_disturb_it(
    bus: Bus, stock_consumer: Callable[..., Process], database_server: Any
) -> None:
    template()
    process = stock_consumer()
    bus.send(passes(1))
    process.wait_until(lambda: bus.acknowledged() == 1, what="the acknowledgement of the first")
    take_down(database_server)
    bus.send(passes(2))
    process.wait_for("waiting for it")
    database_server.start()
    process.wait_until(lambda: bus.acknowledged() == 2, what="the acknowledgement of both")
    assert waiting() == 2
