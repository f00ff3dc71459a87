"""What somebody who tries the project relies on: the demo does the main job, shows each result, and ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.services.processes import manage


@pytest.mark.live
def test_the_demo_shows_badges_of_all_causes_certificates_an_explanation_and_a_refused_document(tmp_path: Path) -> None:
    process = manage(
        *("demo", "--learners", "5", "--port", "0"),
        log=tmp_path / "demo.log",
        database_url=f"sqlite:///{tmp_path / 'demo.sqlite3'}",
        env={"DATA_DIR": str(tmp_path / "var"), "COLUMNS": "200"},
    )
    try:
        assert process.wait(seconds=200) == 0, process.output()
    finally:
        process.ensure_gone()

    said = process.output()
    assert re.search(r"Algebra star +│ 3 +│ 3 +│ 3 +│ 3 ", said), said
    assert re.search(r"Curious for a week +│ 30 +│ 30 +│ –", said), said
    assert "0 dead letters" in said
    assert "Outbox: announce delivered: 95, credly delivered: 14." in said
    assert re.search(r"Credly has sent a webhook\. Badge ([\w-]+) is still pending here\.", said), said
    assert re.search(r"fetched from Credly: badge [\w-]+ is accepted\.", said), said
    assert "Explaining why learner 5004 has no badge curious-week" in said
    assert "missing: 6 of 7 periods" in said
    assert "unknown_operator at /$timeWindow/flow/criteria/$eventCount/$atLeast" in said
    assert re.findall(r"→ (\d+)", said) == ["201", "409", "200", "200"]
    assert "Events decided: 1, badges awarded: 1, delivered: 5." in said  # the certification's
    assert said.count('"new_badges":["50_xp","first_xp","getting_started"]') == 1
    documents = [Path(path) for path in re.findall(r"^ +Ada Lovelace +(\S+\.pdf)$", said, re.MULTILINE)]
    assert [path.read_bytes()[:5] for path in documents] == [b"%PDF-"]
    assert list((tmp_path / "var/mail").iterdir())
    assert re.search(r"Anybody can verify: http://127\.0\.0\.1:\d+/credentials/verify/\w+", said)
    assert re.search(
        r"Anybody can see a badge that is shared: http://127\.0\.0\.1:\d+/badges/credentials/[\w-]+/", said
    )
    assert "Traceback" not in said


@pytest.mark.live
def test_on_redis_the_events_come_over_the_bus_and_announcements_go_out_on_it(tmp_path: Path) -> None:
    process = manage(
        *("demo", "--bus", "redis", "--learners", "5", "--port", "0"),
        log=tmp_path / "demo.log",
        database_url=f"sqlite:///{tmp_path / 'demo.sqlite3'}",
        env={"DATA_DIR": str(tmp_path)},
    )
    process.wait_for("On the stream learning-badges-lifecycle: ")
    process.wait_for("Results")
    process.ensure_gone()
    output = process.output()
    announced = re.findall(r"On the stream learning-badges-lifecycle: (\d+) announcements", output)
    assert re.findall(r"matched, (\d+) awarded, 0 duplicates, 0 dead letters", output) == announced


def test_without_a_redis_server_the_line_that_installs_it_is_printed(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="apt-get install -y redis-server"):
        call_command("demo", bus="redis")
