"""The page ``docs/how-tos/own-event-types``: its pack, requests and commands are run as they are printed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from badges.api import credentials_of, process_pending
from badges.catalog import event_types
from badges.checks import check_config
from badges.models import Learner
from tests.factories import WORKSHOP, UserFactory
from tests.support.documented_code import code_blocks
from tests.support.learner_factories import signed_in, somebody

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "how-tos/own-event-types"


def run(commands: str) -> None:
    for line in commands.strip().splitlines():
        program, *arguments = shlex.split(line)
        assert program == "./manage.py"
        call_command(*arguments)


def test_the_page_works_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    learners = [Learner.objects.create(lms_user_id=number, user=UserFactory()) for number in (41, 42)]
    (pack,) = code_blocks(PAGE, "json")
    applying, reading = code_blocks(PAGE, "bash")
    lines, _kafka = code_blocks(PAGE, "text")
    Path("workshops.json").write_text(pack)
    run(applying)
    assert event_types.get(WORKSHOP).note("minutes") == "minutes"

    request, answer = code_blocks(PAGE, "http")
    assert_answered(request, answer)
    process_pending()
    assert [held.template.slug for held in credentials_of(learners[0])] == ["sailor"]

    Path("march.jsonl").write_text(lines.strip() + "\n")
    run(reading)
    assert [held.template.slug for held in credentials_of(learners[1])] == ["sailor"]


def assert_answered(request: str, answer: str) -> None:
    head, _, body = request.partition("\n\n")
    method, address, _version = head.split("\n")[0].split()
    assert method == "POST"
    client = signed_in(somebody("send_eventtype"))
    response = client.post(address, json.dumps(json.loads(body)), content_type="application/json")
    printed_head, _, printed = answer.partition("\n\n")
    assert printed_head.split("\n")[0] == f"HTTP/1.1 {response.status_code} {response.reason_phrase}"
    assert response.json() == json.loads(printed)
    again: Any = client.post(address, json.dumps(json.loads(body)), content_type="application/json").json()
    assert again["duplicate"] == 1


def test_the_printed_setting_is_one(settings: Any) -> None:

    (code,) = code_blocks(PAGE, "python")
    values: dict[str, Any] = {}
    exec(code, values)
    settings.LMS_BADGES_CONFIG = values["LMS_BADGES_CONFIG"]
    assert check_config() == []
