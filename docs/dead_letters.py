"""
A Sphinx directive that lists the reasons of dead letters, read from the code.

``.. dead-letters:: Permanent,GIVEN_UP badges/delivery badges/issuers`` lists the messages of all ``Permanent``
errors that are made in these files and folders, and the texts of all constants ``GIVEN_UP`` there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = Path(__file__).resolve().parent.parent
# What a message is filled with when it is made.
FILLED_IN = "…"

Assigned = Mapping[str, ast.expr]


def messages(names: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Return the messages of these errors and constants in files and folders, sorted, each once."""
    wanted = set(names)
    return sorted({text for path in paths for tree in _trees(path) for text in _messages(tree, wanted) if text})


def _trees(path: str) -> Iterator[ast.Module]:
    place = ROOT / path
    if not place.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder. Correct the page of dead letters.")
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        yield ast.parse(file.read_text(encoding="utf-8"))


def _messages(tree: ast.Module, wanted: set[str]) -> Iterator[str]:
    constants = _assigned(tree.body)
    yield from (_text(constants[name], constants) for name in sorted(wanted & constants.keys()))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        known = {**constants, **_assigned(ast.walk(function))}
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in wanted and node.args:
                yield _text(node.args[0], known)


def _assigned(found: Iterable[ast.AST]) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in found
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _text(node: ast.expr, known: Assigned) -> str:
    """Return the text of an expression as far as it stands in the code; blank when nothing of it does."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"\{[^{}]*\}", FILLED_IN, text)
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, known) if isinstance(part, ast.Constant) else FILLED_IN for part in parts)
        case ast.BinOp(left=left, right=right):
            return _text(left, known) + (_text(right, known) or FILLED_IN)
        case ast.Name(id=name) if name in known:
            return _text(known[name], {other: value for other, value in known.items() if other != name})
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return _text(value, known)
        case ast.Call(args=[first, *_]):
            return _text(first, known)
    return ""


class DeadLetters(Directive):
    """Lists the messages of the errors and constants named first, in the files and folders named after them."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        names, *paths = self.arguments[0].split()
        found = messages(names.split(","), paths)
        if not found:
            raise self.error(f"No message of {names} is made in {', '.join(paths)}.")
        return [nodes.bullet_list("", *(nodes.list_item("", nodes.paragraph(text=text)) for text in found))]


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("dead-letters", DeadLetters)
    return {"parallel_read_safe": True}
