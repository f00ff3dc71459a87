"""Templates and events for tests of the pipeline."""

from __future__ import annotations

import datetime as dt
from typing import Any

from badges.catalog import api as catalog
from badges.catalog.models import BadgeTemplate
from badges.conf import PASSING_STATUS
from badges.intake.events import Event, parse_event
from badges.testing import events as made

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def make_template(slug: str, *requirements: dict[str, Any], **options: Any) -> BadgeTemplate:
    """Make a template as its author would: ``template("star", {"key": "pass", "course": …, "group": …}, …)``."""
    document = {
        "slug": slug,
        "name": f"The {slug} badge",
        "is_active": True,
        "requirements": [_requirement(**requirement) for requirement in requirements],
        **options,
    }
    catalog.save_template(document, now=NOW)
    return BadgeTemplate.objects.get(slug=slug)


def _requirement(
    key: str, course: str | None = None, group: str | None = None, event_type: str = PASSING_STATUS, **more: Any
) -> dict[str, Any]:
    rules = [{"path": "is_passing", "operator": "eq", "value": True}]
    if course:
        rules.append({"path": "course.course_key", "operator": "eq", "value": course})
    return {"key": key, "event_type": event_type, "group": group, "rules": rules, **more}


def make_passing(**given: Any) -> Event:
    """Make the event of a learner who passes a course, as a consumer hands it over."""
    return parse_event(made.passing_status(**given).line, received_from="test")
