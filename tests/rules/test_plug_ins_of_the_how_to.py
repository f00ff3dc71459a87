"""The package of the page "Write an operator or a condition" is installed as is written, and does what is written."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.documented_code import code_blocks

PAGE = "how-tos/write-operators-and-conditions"


@pytest.fixture
def run(tmp_path):
    """Run Python where the package of the page is installed; returns what it printed."""
    (described,) = code_blocks(PAGE, "toml")
    project = tomllib.loads(described)["project"]
    (tmp_path / "acme_badges.py").write_text("\n".join(code_blocks(PAGE, "python")))
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    root = Path(__file__).parents[2]

    def run_python(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            env={"PYTHONPATH": f"{root}:{tmp_path}"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    return run_python


@pytest.mark.parametrize("number", range(2))
def test_each_session_of_the_page_prints_what_is_written(run, tmp_path, number):
    session = tmp_path / "session.txt"
    session.write_text(code_blocks(PAGE, "pycon")[number])

    said = run("-m", "doctest", "-v", str(session))

    assert "Test passed." in said, said
    assert len(code_blocks(PAGE, "pycon")) == 2


def test_the_functions_of_the_page_take_whatever_an_event_holds(run):
    assert run(
        "-c",
        """if True:
            from badges.rules import Event, parse_criteria

            odd = [None, "6", True, [6], {"a": 6}, 6.5, float("nan")]
            history = [
                Event(f"{n}", "quiz.submitted", f"2026-03-01T10:00:{n:02}Z", {"attempt": value, "score": value})
                for n, value in enumerate(odd)
            ]
            documents = [
                {"event": "quiz.submitted", "criteria": {"attempt": {"$multiple_of": 3}}},
                {"$condition": {"type": "improved", "params": {"points": 100}}},
            ]
            for document in documents:
                print(parse_criteria(document).evaluate(history, now=history[-1].occurred_at).satisfied)
        """,
    ).split() == ["False", "False"]
