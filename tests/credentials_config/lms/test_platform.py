"""
The LMS from inside the platform: a double of the platform's modules, with real tables, in a process of its own.

What the double cannot show is whether the platform still has these names; the docstring of
``credentials_config.lms.platform`` lists them for whoever upgrades it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from credentials_config import lms as lms_client
from credentials_config.lms.base import NOTHING_TO_COMPLETE
from credentials_config.lms.http import HttpLms

DOUBLE = Path(__file__).parent / "platform_double"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": f"{DOUBLE}{os.pathsep}{ROOT}"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "school"],
        cwd=DOUBLE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_names_and_dates(answers):
    assert answers["contexts"] == [
        ["Algebra", "2026-02-01T00:00:00+00:00", "2026-06-30T00:00:00+00:00"],
        ["Sheet 1", "2026-02-01T00:00:00+00:00", "2026-06-30T00:00:00+00:00"],
        ["Maths", "2026-01-10T00:00:00+00:00", None],
    ]
    assert answers["steps"] == ["course-v1:Demo+Algebra+2026", "course-v1:Demo+Geometry+2026"]


def test_people_are_those_actively_enrolled_with_and_without_a_profile(answers):
    assert answers["people"] == [
        {"lms_user_id": 1, "username": "ada", "email": "ada@example.com", "name": "Ada", "language": ""},
        {"lms_user_id": 2, "username": "bob", "email": "bob@example.com", "name": "Bob", "language": ""},
        {"lms_user_id": 5, "username": "robot", "email": "robot@example.com", "name": "", "language": ""},
    ]
    assert answers["people of the lesson"] == ["ada", "bob", "robot"]
    assert answers["people of the path"] == ["ada", "bob"]
    assert answers["found"] == ["bob", "kim"]
    assert answers["enrolled"] == [[1, 2, 5], [1, 2, 5], [1, 2]]
    assert answers["languages"] == {"1": "ar"}


def test_completions_are_of_those_enrolled_and_nought_for_who_has_not_begun(answers):
    assert answers["completions"] == {"1": 0.75, "2": 0.0, "5": 0.0}
    assert answers["completions of the lesson"] == {"1": 1.0, "2": NOTHING_TO_COMPLETE, "5": 0.0}


def test_grades_are_of_those_enrolled_and_one_broken_grade_stops_nobody(answers):
    sheet = "block-v1:Demo+Algebra+2026+type@sequential+block@sheet_1"
    homework = {"category": "Homework"}
    assert answers["grades"] == {
        "1": {
            "total": 0.8,
            "sections": [
                {**homework, "key": sheet, "percent": 0.9, "attempted": True},
                # What a person graded counts as attempted.
                {**homework, "key": sheet.replace("sheet_1", "sheet_2"), "percent": 0.4, "attempted": True},
            ],
        },
        "2": {"total": None, "sections": []},
        "5": {"total": 0.0, "sections": [{**homework, "key": sheet, "percent": 0.0, "attempted": False}]},
    }
    assert answers["prefetched"] == [["fetched", 3], ["cleared courses", 0], ["cleared both", 0]]


def test_policy_and_outline(answers):
    sheet = "block-v1:Demo+Algebra+2026+type@sequential+block@sheet_1"
    assert answers["policy"] == [{"category": "Homework", "count": 3, "dropped": 1, "weight": 0.25}]
    assert answers["subsections"] == [[sheet], [sheet]]


def test_unknown_contexts_are_named_with_the_remedy(answers):
    assert len(answers["unknown"]) == 5
    assert all(text.startswith("The LMS does not know") for text in answers["unknown"])


def test_outside_of_the_platform_auto_means_http(settings):
    settings.CREDENTIALS_CONFIG = {"lms": {"url": "http://127.0.0.1:1"}}

    assert isinstance(lms_client.client(), HttpLms)
    lms_client.close_clients()
