"""
How often a second a condition is decided: as a criteria document, and as a rule of other engines. Prints JSON.

A process of its own, in an environment of its own, which has the other engines. Each is compiled once. All have to give
the same answers for all combinations of conditions that hold and do not. Measured is the event for which all hold, so
that every condition is asked: by turns, in processor time, and the best turn of each counts.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import celpy
import rule_engine
import zen

from badges.rules import Event, parse_criteria

TYPE = "org.openedx.learning.course.persistent_grade_summary.changed.v1"
NOW = datetime(2026, 10, 1, 10, tzinfo=UTC)
CRITERIA = {"score": {"$gte": 80}, "is_passing": True, "course.org": "MITx"}
CONDITIONS = ("score >= 80", "is_passing == true", 'course.org == "MITx"')

TURNS = 9
SECONDS = 0.1  # of processor time for one turn

Decide = Callable[[Any], Any]


def payloads() -> list[dict[str, Any]]:
    """Return events' data: one for each combination of conditions that hold and do not."""
    return [
        {
            "user_id": 7,
            "course": {
                "course_key": f"course-v1:{org}+6.00x+2026",
                "org": org,
                "display_name": "Introduction to programming",
                "start": "2026-01-01T00:00:00Z",
                "end": None,
            },
            "grading_policy_hash": "f1a2",
            "score": score,
            "is_passing": passing,
            "letter_grade": "A" if score > 90 else "",
        }
        for score, passing, org in itertools.product((91, 42.5), (True, False), ("MITx", "Elsewhere"))
    ]


def criteria() -> dict[str, Decide]:
    """Return the ways in which criteria are asked."""
    parsed = parse_criteria({"event": TYPE, "criteria": CRITERIA})
    events = {id(payload): [Event(str(number), TYPE, NOW, payload)] for number, payload in enumerate(PAYLOADS)}

    def evaluate(payload: Any) -> bool:
        return parsed.evaluate(events[id(payload)], now=NOW).satisfied

    def explain(payload: Any) -> bool:
        return parsed.evaluate(events[id(payload)], now=NOW).trace.result

    return {
        "criteria: predicate": parsed.root.selection.filter.predicate,  # type: ignore[attr-defined]
        "criteria: evaluate": evaluate,
        "criteria: evaluate, with the trace": explain,
    }


def others() -> dict[str, Decide]:
    """Return the other engines, each with its compiled rule."""
    rule = rule_engine.Rule(" and ".join(CONDITIONS))
    expression = zen.compile_expression(" and ".join(CONDITIONS))
    environment = celpy.Environment()
    program = environment.program(environment.compile(" && ".join(CONDITIONS)))
    # Not measured, in favour of this engine: it has a type of its own for each value.
    values = {id(payload): {key: celpy.json_to_cel(value) for key, value in payload.items()} for payload in PAYLOADS}
    return {
        f"zen-engine {version('zen-engine')}": expression.evaluate,
        f"rule-engine {version('rule-engine')}": rule.matches,
        f"cel-python {version('cel-python')}": lambda payload: program.evaluate(values[id(payload)]),
    }


def rates(deciders: dict[str, Decide]) -> dict[str, float]:
    """Return decisions a second, the best of all turns."""
    rounds = {name: _rounds(decide) for name, decide in deciders.items()}
    best = dict.fromkeys(deciders, 0.0)
    for _ in range(TURNS):
        for name, decide in deciders.items():
            number = rounds[name]
            best[name] = max(best[name], number / _seconds(decide, number))
    return best


def _rounds(decide: Decide) -> int:
    """Return how many times the payload is asked about in one turn."""
    number = 1
    while (seconds := _seconds(decide, number)) < SECONDS / 10:
        number *= 2
    return max(1, round(number * SECONDS / seconds))


def _seconds(decide: Decide, rounds: int) -> float:
    payload = PAYLOADS[0]
    began = time.process_time()
    for _ in range(rounds):
        decide(payload)
    return time.process_time() - began


PAYLOADS = payloads()


def main() -> None:
    deciders = {**criteria(), **others()}
    answers = {name: [bool(decide(payload)) for payload in PAYLOADS] for name, decide in deciders.items()}
    expected = [True] + [False] * (len(PAYLOADS) - 1)
    if wrong := [name for name, given in answers.items() if given != expected]:
        raise SystemExit(f"These do not give the expected answers: {', '.join(wrong)}")
    sys.stdout.write(json.dumps(rates(deciders)))


if __name__ == "__main__":
    main()
