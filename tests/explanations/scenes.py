"""People and templates that explanations are about, and the three ways in which somebody asks."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any
from urllib.parse import urlencode

from django.core.management import call_command

from badges import pipeline
from tests.factories import ALGEBRA, NOON, make_passing
from tests.rest_api.schema import assert_as_promised

REST = "/api/badges/v1/explain/"
MAY_ASK = ("view_badgeprogress", "view_usercredential", "view_loggedevent")


def passes(number: int, *, at: dt.datetime = NOON, is_passing: bool = True, course: str = ALGEBRA) -> Any:
    """Let somebody pass or fail a course, and return the event."""
    event = make_passing(time=at, course_key=course, lms_user_id=number, username=f"u{number}", is_passing=is_passing)
    pipeline.handle([event])
    return event


def command(who: Any, template: Any, *options: str) -> str:
    """Return what the command prints."""
    output = io.StringIO()
    call_command("badges_explain", "--template", str(template), "--learner", str(who), *options, stdout=output)
    return output.getvalue()


def command_json(who: Any, template: Any) -> Any:
    """Return the JSON that the command prints, without the moment."""
    found = json.loads(command(who, template, "--json"))
    return {name: value for name, value in found.items() if name != "at"}


def ask(client: Any, **query: Any) -> Any:
    """Return the body of the REST answer."""
    return assert_as_promised(client.get(f"{REST}?{urlencode(query)}"), REST)
