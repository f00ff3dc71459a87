"""The commands of the page "The badge did not come" do what the page says, and its documents are valid."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from badges.conf import PASSING_STATUS
from badges.rules import parse_criteria
from tests.factories import LearnerFactory, make_template
from tests.support.documented_code import code_blocks

PAGES = ["how-tos/design-badges", "how-tos/badge-did-not-come", "concepts/rule-engine-words", "concepts/rules"]
THREE = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 3, "distinct": "course.course_key"}}}


@pytest.mark.django_db
def test_each_command_of_the_page_runs_as_it_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    make_template(slug="three-courses", criteria=THREE)
    LearnerFactory(lms_user_id=417)
    monkeypatch.chdir(tmp_path)
    lines = [line for block in code_blocks("how-tos/badge-did-not-come", "bash") for line in block.splitlines() if line]
    assert len(lines) == 10
    outputs = []
    for line in lines:
        python, manage, *words = shlex.split(line)
        assert (python, manage) == ("python", "manage.py")
        output = io.StringIO()
        call_command(*words, stdout=output, stderr=output)
        outputs.append(output.getvalue())
    checked, explained = outputs[6], outputs[8]
    assert outputs[0].startswith("The badge “Marsupilami")
    assert '"state": "open"' in outputs[1]
    assert checked.startswith("three-courses: earned when: at least 3 different values")
    assert "missing: 0 of 3 different values" in explained


def test_the_documents_of_the_pages_are_valid() -> None:
    found = [block for page in PAGES for block in code_blocks(page, "json")]
    assert len(found) >= 4
    for block in found:
        parse_criteria(json.loads(block))
