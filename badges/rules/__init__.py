"""
The rules: pure thinking about events, importable without Django.

Shapes say what the data of an event type looks like and bring it into one canonical form; data rules ask questions of
such data; an index finds the rules that hold among many; completion says what is still open. Nothing here knows about
tables, time or the network: everything comes in as an argument.
"""

from badges.rules.completion import Completion, OpenGroup, completion
from badges.rules.data_rules import DataRule, RuleSet, Step, compile_rule
from badges.rules.errors import RuleError, ShapeError
from badges.rules.identity import event_digest
from badges.rules.index import RuleIndex
from badges.rules.operators import Operator, UnknownOperator, find_operator, operator_names, operators_for
from badges.rules.paths import join_path, split_path
from badges.rules.shapes import Kind, Shape, to_text
from badges.rules.times import canonical_time

__all__ = [
    "Completion",
    "DataRule",
    "Kind",
    "OpenGroup",
    "Operator",
    "RuleError",
    "RuleIndex",
    "RuleSet",
    "Shape",
    "ShapeError",
    "Step",
    "UnknownOperator",
    "canonical_time",
    "compile_rule",
    "completion",
    "event_digest",
    "find_operator",
    "join_path",
    "operator_names",
    "operators_for",
    "split_path",
    "to_text",
]
