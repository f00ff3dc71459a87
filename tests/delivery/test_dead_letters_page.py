"""The page that an operator looks a dead letter up on lists every reason of the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "references/dead-letters.rst").read_text(encoding="utf-8")
DIRECTIVES = re.findall(r"\.\. dead-letters:: (\S+) (.+)", PAGE)
# Files whose errors are told elsewhere: the classes themselves, what runs and previews say, and the interfaces.
ELSEWHERE = ("badges/exceptions.py", "badges/management/", "badges/testing/", "badges/rules/", "badges/sandbox/")


@pytest.fixture(scope="module")
def dead_letters() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dead_letters", DOCS / "dead_letters.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("names", "paths"), DIRECTIVES)
def test_every_error_and_constant_of_a_section_has_reasons(dead_letters: ModuleType, names: str, paths: str) -> None:
    assert {name: bool(dead_letters.messages([name], paths.split())) for name in names.split(",")} == dict.fromkeys(
        names.split(","), True
    )


def test_reasons_are_listed_as_an_operator_reads_them(dead_letters: ModuleType) -> None:
    listed = [text for names, paths in DIRECTIVES for text in dead_letters.messages(names.split(","), paths.split())]
    assert "Given up after … tries; remove the cause, then retry. …" in listed
    assert (
        "There is no token for the Credly organization …. Add the organization in the admin or under ORGANIZATIONS in "
        "LMS_BADGES_CONFIG['credly']; the badges wait for it."
    ) in listed


def test_every_file_that_makes_a_dead_letter_is_on_the_page() -> None:
    root = DOCS.parent
    listed = [path for _names, paths in DIRECTIVES for path in paths.split()]
    makes = re.compile(r"\b(Permanent|SharedProblem|EventError|UnknownEventType)\(\s*[^)\s]")
    missing = [
        name
        for file in sorted((root / "badges").rglob("*.py"))
        for name in [file.relative_to(root).as_posix()]
        if makes.search(file.read_text(encoding="utf-8"))
        if not name.startswith(ELSEWHERE) and file.name != "run_kinds.py"  # runs tell their own errors
        if not any(name == path or name.startswith(f"{path}/") for path in listed)
    ]
    assert missing == []
