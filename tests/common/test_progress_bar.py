"""Long work says how far it is: on a terminal with a bar, in a log with a line every few seconds."""

from __future__ import annotations

import io

import pytest

from badges.common import progress_bar
from badges.common.progress_bar import ProgressBar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_with_count_share_and_rate_every_few_seconds(clock: list[float]) -> None:
    log = io.StringIO()
    with ProgressBar(log, title="Making documents", unit="documents", total=200) as bar:
        bar.show(10)
        assert log.getvalue() == ""
        clock[0] += 10
        bar.show(50, made=49, failed=1)
        clock[0] += 1
        bar.show(51)
    assert log.getvalue() == "Making documents: 50 documents (25 %), 5 a second"


def test_the_share_of_a_file_is_that_of_its_bytes(clock: list[float]) -> None:
    log = io.StringIO()
    with ProgressBar(log, unit="events", total_bytes=1000) as bar:
        clock[0] += 5
        bar.show(20, done_bytes=400)
    assert log.getvalue() == "20 events (40 %), 4 a second"


def test_work_that_stands_still_writes_no_lines(clock: list[float]) -> None:
    log = io.StringIO()
    with ProgressBar(log, unit="events") as bar:
        for _ in range(3):
            clock[0] += 60
            bar.show(0)
    assert log.getvalue() == ""


def test_verbosity_0_is_silent(clock: list[float]) -> None:
    log = io.StringIO()
    with ProgressBar(log, unit="events", verbosity=0) as bar:
        clock[0] += 60
        bar.show(7)
    assert log.getvalue() == ""
