"""The registry of operators, and the operators that other packages bring."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from badges.rules import Kind, Shape, UnknownOperator, find_operator, operators_for

PLUG_IN = """
    from badges.rules import Operator
    from badges.rules.values import listing

    def read_length(value, seen):
        try:
            return int(value)
        except ValueError:
            raise ValueError("a length, such as 3") from None

    longer = Operator("called_otherwise_at_home", lambda seen, operand: len(seen) > operand, read_length, listing)
    fragile = Operator("fragile", lambda seen, operand: 1 / len(seen) > 0)
    no_operator = "houba"
    print("loaded")
"""

INSTALLED = {
    "spirou": """
        longer = spirou_operators:longer
        fragile = spirou_operators:fragile
        broken = spirou_operators_that_are_not_there:broken
        wrong = spirou_operators:no_operator
        eq = spirou_operators:longer
        twice = spirou_operators:longer
    """,
    "fantasio": """
        twice = fantasio_operators:longer
    """,
}

PREAMBLE = """
    import json, logging
    from badges.rules import *
    shape = Shape(Kind.OBJECT, {"tags": Shape(Kind.LIST, item=Shape(Kind.TEXT)), "name": Shape(Kind.TEXT)})
    logging.getLogger("badges.common.entry_points").disabled = True  # the errors are returned, too

    def attempt(*rule):
        try:
            return compile_rule(shape, *rule)
        except RuleError as error:
            return error
"""


@pytest.fixture
def run(tmp_path):
    """Run a script in a Python where another package is installed that brings operators; returns its lines."""
    for package, points in INSTALLED.items():
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[badges.operators]\n" + textwrap.dedent(points))
    (tmp_path / "spirou_operators.py").write_text(textwrap.dedent(PLUG_IN))
    root = Path(__file__).parents[2]

    def run_script(script: str) -> list[str]:
        source = textwrap.dedent(PREAMBLE) + textwrap.dedent(script)
        path = f"{root}:{tmp_path}"
        done = subprocess.run(
            [sys.executable, "-c", source], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines() + done.stderr.splitlines()

    return run_script


def test_another_package_can_bring_an_operator(run):
    assert run(
        """
        print("before")
        rule = attempt("tags", "longer", "2")
        print(rule.operator, json.dumps(rule.value), rule.holds({"tags": list("abc")}), rule.holds({"tags": ["a"]}))
        print(attempt("tags", "longer", "x"))
        print(attempt("tags", "longer", ["x"]).kind)
        """
    ) == ["before", "loaded", "longer 2 True False", "tags longer: expected a length, such as 3", "invalid_criteria"]


def test_our_own_words_load_nobody_elses_code_and_cannot_be_taken(run):
    assert run("print(attempt('name', 'eq', 'x').holds({'name': 'x'}), 'longer' in operator_names())") == ["True True"]


def test_a_broken_plug_in_is_an_unknown_operator_that_names_the_entry_point(run):
    missing, wrong, twice = (
        json.loads(line)
        for line in run(
            """
            for word in ("broken", "wrong", "twice"):
                error = attempt("name", word, "x")
                print(json.dumps([error.kind, error.message]))
            """
        )
        if line != "loaded"
    )

    assert missing[0] == wrong[0] == twice[0] == "unknown_operator"
    assert "broken = spirou_operators_that_are_not_there:broken of badges.operators cannot be loaded" in missing[1]
    assert "ModuleNotFoundError" in missing[1]
    assert "wrong = spirou_operators:no_operator of badges.operators is no badges.rules.Operator but a str" in wrong[1]
    assert "fantasio_operators:longer, spirou_operators:longer; uninstall all but one" in twice[1]


def test_an_operator_that_raises_is_no_match_and_is_reported_without_values(run):
    lines = run(
        """
        rule = attempt("name", "fragile", "x")
        print(rule.holds({"name": "anna"}), rule.holds({"name": ""}))
        """
    )

    assert lines == ["loaded", "True False", "The operator fragile failed on name: ZeroDivisionError"]


def test_the_rules_need_no_framework(run):
    assert run(
        "import sys; print([name for name in sys.modules if name.split('.')[0] in ('django', 'rest_framework')])"
    ) == ["[]"]


def test_an_unknown_word_is_answered_with_near_ones():
    with pytest.raises(UnknownOperator, match="there is no operator 'betwen'; write between"):
        find_operator("betwen")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Shape(Kind.BOOLEAN), "eq ne in nin exists"),
        (Shape(Kind.INTEGER), "eq ne gt gte lt lte between in nin exists"),
        (Shape(Kind.LIST, item=Shape(Kind.TEXT)), "contains exists"),
        (Shape(Kind.LIST), "contains exists"),
        (Shape(Kind.LIST, item=Shape(Kind.LIST)), "exists"),  # lists of lists: no single value to look for
        (Shape(Kind.MAP), "exists"),
        (Shape(Kind.OBJECT), "exists"),
        (Shape(Kind.TEXT), "eq ne gt gte lt lte between in nin contains startsWith endsWith regex exists"),
    ],
)
def test_a_form_is_told_which_words_make_sense(shape, words):
    assert " ".join(operators_for(shape)) == words
