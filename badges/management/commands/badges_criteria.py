"""Check criteria documents, and explain what a learner's logged events say of one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges import api
from badges.catalog import event_types, pack_files, packs
from badges.catalog.criteria import name_errors
from badges.catalog.documents import DocumentError, Problem
from badges.models import BadgeTemplate
from badges.rules import Criteria, CriteriaError, TraceStep, describe, parse_criteria, step_text
from badges.rules.times import instant

STDIN = "-"


class Command(BaseCommand):
    """``badges_criteria check FILE`` and ``badges_criteria explain --learner L --template T [--at TIME]``."""

    help = (
        "Check a criteria document or a pack, or explain what a learner's logged events say of a template's criteria."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("check", help="print what a criteria document, or those of a pack, mean")
        check.add_argument("file", metavar="FILE", help="a criteria document or a pack: .json, .yaml, .yml; - is stdin")
        explain = actions.add_parser("explain", help="print the verdict, each step, and what is missing")
        explain.add_argument("--learner", required=True, help="an LMS user id, a username, or the UUID of a learner")
        explain.add_argument("--template", required=True, help="the slug of a template")
        explain.add_argument("--at", help="the moment, such as 2026-03-01T09:30:00Z; by default now")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if action == "check":
            self.check_file(options["file"])
        else:
            self.explain(options["learner"], options["template"], options["at"])

    def check_file(self, file: str) -> None:
        """Print what the documents of a file mean."""
        try:
            found = list(_documents(file))
        except DocumentError as error:
            many = f"{len(error.problems)} problems" if len(error.problems) > 1 else "one problem"
            lines = "\n".join(_line(problem) for problem in error.problems)
            raise CommandError(f"{file}: {many}.\n{lines}") from error
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        for name, criteria in found:
            self.stdout.write(f"{name}: {describe(criteria)}")
        if not found:
            self.stdout.write(f"{file}: no template of this pack has criteria.")

    def explain(self, person: str, template: str, at: str | None) -> None:
        """Print what the logged events of a person say of a template's criteria."""
        try:
            explained = api.explain(api.person_named(person), template, at=instant(at) if at else None)
        except BadgeTemplate.DoesNotExist as error:
            raise CommandError(f"There is no template {template}. The slug is on its page and in packs.") from error
        except ValueError as error:
            raise CommandError(f"--at: write {error}.") from error
        if explained.criteria_problem:
            raise CommandError(f"{template}: the criteria cannot be used: {explained.criteria_problem}")
        evaluation = explained.criteria
        if evaluation is None:
            raise CommandError(f"{template} has no criteria document, only requirements.")
        if explained.learner is None and not (evaluation.number or evaluation.arrived_before):
            self.stdout.write("Nothing is logged of this person, and there is no learner. Check the LMS user id.")
        verdict = "satisfied" if evaluation.result.satisfied else "not satisfied"
        self.stdout.write(describe(evaluation.criteria))
        self.stdout.write(f"{verdict} at {evaluation.at:%Y-%m-%dT%H:%M:%SZ}, with {evaluation.number} logged events")
        if evaluation.arrived_before:
            since = f"{evaluation.counts_from:%Y-%m-%dT%H:%M:%SZ}"
            self.stdout.write(f"{evaluation.arrived_before} more do not count: they arrived before {since}.")
        if evaluation.history.is_cut:
            self.stdout.write("Only the newest events were read; there are older ones.")
        if evaluation.earned is not None:
            self.stdout.write(f"It held first at {evaluation.earned.time:%Y-%m-%dT%H:%M:%SZ}.")
        for text in evaluation.result.missing():
            self.stdout.write(f"missing: {text}")
        for line in _tree(evaluation.result.trace, evaluation.history.names.get):
            self.stdout.write(line)


def _documents(file: str) -> Iterator[tuple[str, Criteria]]:
    """Yield the criteria of a document or of a pack, each with its name. Raises DocumentError and OSError."""
    given = _content(file)
    if isinstance(given, dict) and given.keys() & {"pack", "templates"}:
        for draft in packs.read_pack(given).templates:
            if draft.document["criteria"] is not None:
                yield draft.document["slug"], parse_criteria(draft.document["criteria"])
        return
    try:
        criteria = parse_criteria(given)
    except CriteriaError as error:
        raise DocumentError([Problem(error.path, error.message, error.kind)]) from error
    errors = name_errors(criteria, event_types.configured())
    if errors:
        raise DocumentError([Problem(error.path, error.message, error.kind) for error in errors])
    yield file, criteria


def _content(file: str) -> Any:
    """Return what a file holds: an object of a pack, or the text of a document, which the language reads strictly."""
    if file != STDIN and Path(file).suffix.lower() in (".yaml", ".yml"):
        return pack_files.read_file(Path(file))
    text = _text(file)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(given, dict) and given.keys() & {"pack", "templates"}:
        return given if file == STDIN else pack_files.read_file(Path(file))
    return text


def _text(file: str) -> str:
    content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise DocumentError([Problem("", message, "invalid_json")]) from None


def _line(problem: Problem) -> str:
    return f"{problem.kind or 'invalid'} at {problem.path or '/'}: {problem.message}"


def _tree(step: TraceStep, event_name: Callable[[str], str | None], depth: int = 0) -> Iterator[str]:
    sign = "+" if step.result else "-"
    yield f"{'  ' * depth}{sign} {step.path or '/'}: {step_text(step, event_name=event_name)}"
    for child in step.children:
        yield from _tree(child, event_name, depth + 1)
