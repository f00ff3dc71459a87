"""Conditions: found by entry points or a look-up, asked about single events."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from badges.rules import Condition, CriteriaError, parse_criteria
from tests.rules.criteria.documents import NOW, at, event

PLUG_IN = """
    def weekly(event, history, params):
        return len(history) >= params["times"]

    weekly.event_types = ["login"]

    def check(params):
        if "times" not in params:
            raise ValueError("how many times, such as {\\"times\\": 3}")

    weekly.check_params = check
    no_function = 5

    from badges.rules import Operator

    def read_divisor(value, seen):
        if not isinstance(value, int) or value < 1:
            raise ValueError("a divisor, such as 3")
        return value

    divisible = Operator("divisible", lambda seen, operand: seen % operand == 0, read_divisor)
"""

INSTALLED = """
    [badges.conditions]
    weekly = zorglub:weekly
    broken = zorglub_that_is_not_there:broken
    wrong = zorglub:no_function

    [badges.operators]
    divisible = zorglub:divisible
"""

PREAMBLE = """
    import logging, sys
    from badges.rules import CriteriaError, Event, compile_rule, condition_slugs, parse_criteria, Kind, Shape

    history = [Event(str(n), "login", f"2026-03-0{n}T00:00:00Z", {"n": n}) for n in (1, 2, 3)]

    logging.getLogger("badges.common.entry_points").disabled = True  # the errors are returned, too

    def attempt(document):
        try:
            return parse_criteria(document).evaluate(history, now=history[-1].occurred_at).satisfied
        except CriteriaError as error:
            return error.kind, str(error)
"""


@pytest.fixture
def run(tmp_path):
    """Run a script in a Python where another package brings conditions and operators; returns its lines."""
    info = tmp_path / "zorglub-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zorglub\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(INSTALLED))
    (tmp_path / "zorglub.py").write_text(textwrap.dedent(PLUG_IN))
    root = Path(__file__).parents[3]

    def run_script(script: str) -> list[str]:
        source = textwrap.dedent(PREAMBLE) + textwrap.dedent(script)
        done = subprocess.run(
            [sys.executable, "-c", source],
            env={"PYTHONPATH": f"{root}:{tmp_path}"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines() + done.stderr.splitlines()

    return run_script


def test_another_package_can_bring_conditions_and_operators(run):
    assert run(
        """
        print(condition_slugs())
        print(attempt({"$condition": {"type": "weekly", "params": {"times": 3}}}))
        print(attempt({"$condition": {"type": "weekly", "params": {"times": 4}}}))
        print(attempt({"$condition": {"type": "weekly"}}))
        print(attempt({"event": "login", "criteria": {"n": {"$divisible": 3}, "$eventCount": 1}}))
        print(attempt({"event": "login", "criteria": {"n": {"$divisible": 0}}}))
        shape = Shape(Kind.OBJECT, {"n": Shape(Kind.INTEGER)})
        print(compile_rule(shape, "n", "divisible", 3).holds({"n": 9}))
        print([name for name in sys.modules if name.split(".")[0] in ("django", "rest_framework", "celery")])
        """
    ) == [
        "['broken', 'weekly', 'wrong']",
        "True",
        "False",
        "('invalid_criteria', '/$condition/params: write how many times, such as {\"times\": 3}')",
        "True",
        "('invalid_criteria', '/criteria/n/$divisible: write a divisor, such as 3')",
        "True",
        "[]",
    ]


def test_a_broken_plug_in_is_an_unknown_condition_that_names_the_entry_point(run):
    broken, wrong = run(
        """
        print(attempt({"$condition": {"type": "broken"}})[1])
        print(attempt({"$condition": {"type": "wrong"}})[1])
        """
    )

    assert "broken = zorglub_that_is_not_there:broken of badges.conditions cannot be loaded" in broken
    assert "wrong = zorglub:no_function of badges.conditions is no function but a int" in wrong


def with_condition(holds, event_types=("login",), **options):
    """Criteria that ask a condition of our own."""
    found = Condition("ours", holds, event_types)
    document = {"$condition": {"type": "ours", **options}}
    return parse_criteria(document, conditions=lambda slug: found if slug == "ours" else None)


def test_a_condition_is_asked_about_each_event_with_the_history_up_to_it():
    asked = []

    def holds(asked_about, history, params):
        asked.append((asked_about.id, [one.id for one in history], params))
        return False

    criteria = with_condition(holds, ("login", "quiz"), event="login", criteria={"ok": True}, params={"n": 1})
    history = [
        event("a", "quiz", "2026-03-01"),
        event("b", "login", "2026-03-02", ok=True),
        event("c", "done", "2026-03-03"),
        event("d", "login", "2026-03-04", ok=False),
        event("e", "login", "2026-03-05", ok=True),
        event("f", "quiz", "2026-03-06"),
    ]

    assert not criteria.evaluate(history, now=NOW).satisfied
    assert asked == [("b", ["b", "a"], {"n": 1}), ("e", ["e", "d", "b", "a"], {"n": 1})]
    assert criteria.event_types == {"login", "quiz"}


def test_a_history_is_at_most_a_thousand_events():
    lengths = set()
    criteria = with_condition(lambda one, history, params: lengths.add(len(history)) or False)

    criteria.evaluate([event(f"{n:04}", when=at("2026-03-01").replace(microsecond=n)) for n in range(1200)], now=NOW)

    assert max(lengths) == 1000


def test_without_an_event_the_types_of_the_condition_are_asked_about():
    criteria = with_condition(lambda one, history, params: one.type == "quiz", ("login", "quiz"))

    assert criteria.evaluate([event("a", "quiz")], now=NOW).satisfied
    assert not criteria.evaluate([event("a", "done"), event("b", "login")], now=NOW).satisfied


def test_a_condition_that_is_about_no_events_needs_one():
    with pytest.raises(CriteriaError, match="add 'event'"):
        with_condition(lambda *asked: True, ())
    assert with_condition(lambda *asked: True, (), event="login").event_types == {"login"}


def stopped(*asked):
    raise CriteriaError("sandbox", "", "it took longer than 200 ms")


@pytest.mark.parametrize(
    ("holds", "note"),
    [
        (stopped, "sandbox: it took longer than 200 ms"),
        (lambda *asked: 1 / 0, "the condition failed: ZeroDivisionError"),
        (lambda *asked: 1, "the condition returned no boolean"),
        (lambda *asked: None, "the condition returned no boolean"),
    ],
)
def test_a_condition_that_fails_is_no_match_with_a_note(holds, note):
    result = with_condition(holds).evaluate([event("a", name="anna")], now=NOW)

    assert not result.satisfied
    assert result.trace.note == note


def test_a_condition_that_raises_is_reported_without_values(caplog):
    with_condition(lambda *asked: {}["anna"]).evaluate([event("a", name="anna")], now=NOW)

    assert caplog.messages == ["The condition ours failed: KeyError"]
