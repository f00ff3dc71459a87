"""
Pack files: JSON or YAML, by the ending of the name.

Files are read strictly. A key that occurs twice is an error, and so is NaN or anything else that programs read in
different ways. YAML is read by the JSON-like core schema of version 1.2: ``no``, ``12:30`` and ``2026-03-14`` are text.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from badges.catalog.documents import DocumentError, Problem

MAX_DEPTH = 100
MAX_NODES = 5_000_000  # a hundred thousand templates

_YAML_ENDINGS = (".yaml", ".yml")
_ENDINGS = (".json", *_YAML_ENDINGS)

_SHIPPED = Path(__file__).with_name("shipped_packs")


def shipped_pack(name: str) -> Path | None:
    """Return the file of a pack that ships with the plugin, such as ``engagement``; None if none has this name."""
    return next((path for path in _SHIPPED.glob("*.json") if path.stem == name), None)


def read_file(path: Path) -> Any:
    """Return the content of a pack file. Raises DocumentError when it is not valid JSON or YAML, and OSError."""
    kind = _kind(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"byte {error.start} is not UTF-8; save the file as UTF-8") from None
    try:
        return _read_yaml(text) if kind == "yaml" else _read_json(text)
    except ValueError as error:
        raise _unreadable(path, str(error)) from None
    except RecursionError:
        raise _unreadable(path, "it is nested too deeply to be a pack") from None


def write_file(path: Path, pack: Any) -> None:
    """Write a pack file atomically: a reader sees the old file or the new one. Raises OSError and DocumentError."""
    text = _write_yaml(pack) if _kind(path) == "yaml" else json.dumps(pack, ensure_ascii=False, indent=2) + "\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _kind(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise _unreadable(path, f"the name must end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}")
    return "yaml" if ending in _YAML_ENDINGS else "json"


def _unreadable(path: Path, message: str) -> DocumentError:
    return DocumentError([Problem(path.name, message)])


# --- JSON ------------------------------------------------------------------------------------------------------------


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite)


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object; remove one of them")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; write a number")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(f"the number {text[:40]} is too large")
    return number


# --- YAML ------------------------------------------------------------------------------------------------------------

_PLAIN = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML with the types of JSON."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ValueError(f"line {line}: keys are text; put this one in quotes")
            if key in seen:
                raise ValueError(f"line {line}: the key {key!r} stands twice in one object; remove one of them")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes YAML that this loader and all others read alike."""

    yaml_implicit_resolvers = {key: list(rows) for key, rows in yaml.SafeDumper.yaml_implicit_resolvers.items()}

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in _PLAIN:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), _first)

_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: _finite(loader.construct_scalar(node)))


def _read_yaml(text: str) -> Any:
    try:
        _refuse_unsafe_yaml(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- a safe loader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _refuse_unsafe_yaml(text: str) -> None:
    """
    Refuse tags, nesting so deep that libyaml would end the process, and anchors that expand to too many nodes.

    Anchors may be used, so that rules need to be written only once. Their nodes count at each use.
    """
    sizes: dict[str | None, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    read = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if getattr(event, "tag", None):
            raise ValueError(f"line {line}: tags (!) are not read; remove it, and put text in quotes")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"line {line}: there is no finished &{event.anchor} above")
            read += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            read += 1
            sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, read))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            read += 1
            sizes[anchor] = read - before
        if len(open_nodes) > MAX_DEPTH:
            raise ValueError(f"line {line}: it is nested too deeply to be a pack")
        if read > MAX_NODES:
            raise ValueError(f"line {line}: its anchors (&) stand for too much; write less, or several packs")


def _write_yaml(pack: Any) -> str:
    text: str = yaml.dump(pack, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return text
