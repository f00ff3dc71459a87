"""
The rules: functions of values, importable without Django.

Shapes say what the data of an event type looks like and bring it into one canonical form. Data rules compare values of
such data. An index finds the rules that hold among many. Completion says which requirements are still open. Criteria
say when a badge is earned, as a JSON document over a learner's events. Badge conditions say it of a learner's
engagement figures. Nothing here reads tables, clocks or the network: everything is an argument.
"""

from badges.rules.badge_conditions import (
    EngagementStats,
    badge_condition,
    badge_condition_slugs,
    figure_of,
    meets_badge_condition,
    why_no_figure,
)
from badges.rules.completion import Completion, OpenGroup, completion
from badges.rules.contradictions import contradicting_path
from badges.rules.criteria import (
    Answer,
    Condition,
    Criteria,
    Event,
    Moment,
    Result,
    TraceStep,
    Translations,
    TriggerRules,
    condition_slugs,
    criteria_schema,
    describe,
    earned,
    missing_text,
    parse_criteria,
    rules_of,
    step_text,
)
from badges.rules.data_rules import DataRule, RuleSet, Step, compile_rule
from badges.rules.errors import CriteriaError, RuleError, ShapeError
from badges.rules.identity import event_digest
from badges.rules.index import IndexedRules, RuleIndex
from badges.rules.operators import Operator, UnknownOperator, find_operator, operator_names, operators_for
from badges.rules.paths import join_path, split_path
from badges.rules.shapes import Kind, Shape, to_text
from badges.rules.times import canonical_time

__all__ = [
    "Answer",
    "Completion",
    "Condition",
    "Criteria",
    "CriteriaError",
    "DataRule",
    "EngagementStats",
    "Event",
    "IndexedRules",
    "Kind",
    "Moment",
    "OpenGroup",
    "Operator",
    "Result",
    "RuleError",
    "RuleIndex",
    "RuleSet",
    "Shape",
    "ShapeError",
    "Step",
    "TraceStep",
    "Translations",
    "TriggerRules",
    "UnknownOperator",
    "badge_condition",
    "badge_condition_slugs",
    "canonical_time",
    "compile_rule",
    "completion",
    "condition_slugs",
    "contradicting_path",
    "criteria_schema",
    "describe",
    "earned",
    "event_digest",
    "figure_of",
    "find_operator",
    "join_path",
    "meets_badge_condition",
    "missing_text",
    "operator_names",
    "operators_for",
    "parse_criteria",
    "rules_of",
    "split_path",
    "step_text",
    "to_text",
    "why_no_figure",
]
