"""Criteria for people: how a document behaves, the steps of an evaluation as a tree, and a short reference."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from badges.catalog.criteria import describe_criteria
from badges.catalog.documents import Document
from badges.common.admin import format_time
from badges.conf import config
from badges.history.criteria import MAX_EVENTS
from badges.rules import Criteria, CriteriaError, TraceStep, Translations, describe, parse_criteria, step_text

# So many steps of a tree are shown.
MAX_STEPS = 500


def criteria_in_words(document: Document, *, counts_from: dt.datetime | None, now: dt.datetime) -> SafeString:
    """Return a stored document in the reader's language, and below it how it behaves and since when events count."""
    try:
        criteria = parse_criteria(document)
    except CriteriaError:
        return format_html("{}", describe_criteria(document))
    behavior = format_html_join(
        "", "<li>{}</li>", ((text,) for text in [*describe_behavior(criteria, now=now), describe_start(counts_from)])
    )
    words = describe(criteria, Translations(translation))
    return format_html('<p>{}</p><ul class="lms-badges-behavior">{}</ul>', words, behavior)


def describe_behavior(criteria: Criteria, *, now: dt.datetime) -> list[str]:
    """Return sentences about what can make a document true, and which events it looks at."""
    return [*_changes(criteria), *_events(criteria, now)]


def describe_start(counts_from: dt.datetime | None) -> str:
    """Return a sentence about the moment from which on events count for the document of a stored template."""
    if counts_from is None:
        return _("Events count that arrive after the template was activated for the first time.")
    return _("Events count that arrived since %(time)s: then the template was first active with criteria.") % {
        "time": format_time(counts_from)
    }


def _changes(criteria: Criteria) -> Iterator[str]:
    if criteria.satisfied_without_events:
        yield _("Somebody without any event satisfies it. So every learner gets the badge with the next event.")
    if criteria.monotone:
        yield _("Only a new event can make it true.")
    elif criteria.needs_recheck:
        yield _("It can become true by time alone. It is checked again when that may be.")
    else:
        yield _("A later event can make it untrue. A badge that was awarded stays.")


def _events(criteria: Criteria, now: dt.datetime) -> Iterator[str]:
    if None in criteria.event_types:
        yield _("It reads events of every type, of people who are learners already.")
    reach = criteria.reach(now)
    if reach is None:
        yield _("It looks at remembered events however old they are.")
    else:
        yield _("Asked today, it looks back to %(time)s.") % {"time": format_time(reach)}
    yield _("Of one learner, the newest %(most)d events are read.") % {"most": MAX_EVENTS}
    if days := config.event_log["days"]:
        yield _(
            "While the template is active, what it reads is remembered as long as needed; before, for %(days)d days."
        ) % {"days": days}
    else:
        yield _("What it reads is remembered while the template is active.")


# --- the tree of an evaluation ---------------------------------------------------------------------------------------


def trace_tree(step: TraceStep, event_names: Mapping[str, str]) -> SafeString:
    """Return the steps of an evaluation as nested lists. ``event_names`` has what people call an event, by its id."""
    left = iter(range(MAX_STEPS))
    return format_html('<ul class="lms-badges-trace">{}</ul>', _branch(step, event_names, left))


def _branch(step: TraceStep, event_names: Mapping[str, str], left: Iterator[int]) -> SafeString:
    if next(left, None) is None:
        return SafeString("")
    children = [_branch(child, event_names, left) for child in step.children]
    shown = format_html_join("", "{}", ((child,) for child in children if child))
    below = format_html("<ul>{}</ul>", shown) if shown else ""
    if len(children) > sum(map(bool, children)):
        below = format_html("{}<p>{}</p>", below, _("More steps are not shown."))
    return format_html(
        '<li class="{}"><strong>{}</strong> <code>{}</code> {}{}</li>',
        "lms-badges-holds" if step.result else "lms-badges-open",
        _("holds:") if step.result else _("does not hold:"),
        step.path or "/",
        step_text(step, Translations(translation), event_names.get),
        below,
    )


# --- the short reference ---------------------------------------------------------------------------------------------


class Example(NamedTuple):
    """An entry of the language by an example, with what it means in the reader's language."""

    name: str
    document: dict[str, Any]
    meaning: str


_DONE = "course.finished"
_COUNTED = {"event": _DONE, "criteria": {"$eventCount": {"$gte": 5}}}
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    "event": {"event": _DONE, "criteria": {"score": {"$gte": 80}, "course.org": "UniX"}},
    "$eventCount": _COUNTED,
    "distinct": {"event": _DONE, "criteria": {"$eventCount": {"$gte": 5, "distinct": "course.course_key"}}},
    "$and": {"$and": [{"event": _DONE}, {"event": "exam.passed"}]},
    "$or": {"$or": [{"event": _DONE}, {"event": "exam.passed"}]},
    "$not": {"$and": [{"event": _DONE}, {"$not": {"event": "honor.code.violated"}}]},
    "$timeWindow": {"$timeWindow": {"last": "30d", "businessDaysOnly": True, "flow": _COUNTED}},
    "$withinTimeWindow": {"$withinTimeWindow": {"window": "24h", "conditions": _COUNTED}},
    "$timePeriod": {"$timePeriod": {"event": _DONE, "periodType": "week", "periodCount": {"$gte": 4}}},
    "$pattern": {"$pattern": {"event": _DONE, "pattern": "increasing", "periodType": "month"}},
    "$sequence": {"$sequence": {"sequence": ["course.started", _DONE, "exam.passed"], "maxGapSeconds": 86400}},
    "$gap": {"$gap": {"event": _DONE, "maxGapHours": 48}},
    "$duration": {
        "$duration": {
            "startEvent": {"type": "course.started"},
            "endEvent": {"type": _DONE},
            "matchProperty": "course.course_key",
            "duration": {"$lte": 30},
            "unit": "days",
            "of": "any",
        }
    },
    "$aggregate": {"$aggregate": {"type": "avg", "event": "exam.passed", "field": "score", "value": {"$gte": 80}}},
    "$stat": {"$stat": {"current_streak": {"$gte": 7}}},
}


def reference() -> list[Example]:
    """Return an example of each entry of the language."""
    words = Translations(translation)
    return [Example(name, document, describe(parse_criteria(document), words)) for name, document in _EXAMPLES.items()]
