"""What an answer says of each reason why somebody has or has not got a badge, by REST and by the command."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from badges import api
from badges.models import Learner
from tests.explanations.scenes import ask, command, command_json, passes
from tests.factories import ALGEBRA, NOON, make_template, penalty, requirement
pytestmark = [pytest.mark.django_db, pytest.mark.tables]

def test_demo(capsys):
    t = make_template(slug="star", name="Star", requirements=[requirement("pass", course=ALGEBRA), requirement("b", group="g"), requirement("c", group="g")])
    passes(41, is_passing=False)
    passes(41, course="course-v1:O+B+1")
    print(command(41, "star"))
    print(command(41, "star", "--json"))
    passes(41)
    print(command(41, "star"))
    print(command(41, "star", "--language","de"))
    raise AssertionError
