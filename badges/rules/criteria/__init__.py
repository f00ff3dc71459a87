"""
The criteria language: when a badge is earned, as a JSON document over a learner's events.

``parse_criteria`` checks and compiles a document; the compiled one is evaluated for one learner's events at a moment.
The answer depends on the document, the events, the moment and the figures alone: no clock is read, nothing is
remembered.
docs/references/criteria.rst describes the language.
"""

from badges.rules.criteria.compiled import Criteria, Result, parse_criteria
from badges.rules.criteria.conditions import Condition, condition_slugs
from badges.rules.criteria.earning import Answer, Moment, earned
from badges.rules.criteria.events import Event
from badges.rules.criteria.indexing import TriggerRules, rules_of
from badges.rules.criteria.rendering import describe
from badges.rules.criteria.schema import criteria_schema
from badges.rules.criteria.texts import Translations
from badges.rules.criteria.trace import TraceStep, missing_text, step_text

__all__ = [
    "Answer",
    "Condition",
    "Criteria",
    "Event",
    "Moment",
    "Result",
    "TraceStep",
    "Translations",
    "TriggerRules",
    "condition_slugs",
    "criteria_schema",
    "describe",
    "earned",
    "missing_text",
    "parse_criteria",
    "rules_of",
    "step_text",
]
