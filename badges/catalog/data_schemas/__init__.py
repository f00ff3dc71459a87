"""
JSON Schemas of the data of event types: what an author wrote, and what events are checked against.

The dialect is that of JSON Schema 2020-12, without what could read other documents or take unlimited time. A schema is
read once. It gives the shape of the data, the part of it that rules may use, and a function that checks data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from badges.catalog.data_schemas.checking import compile_check
from badges.catalog.data_schemas.keywords import expand, keyword_problems
from badges.catalog.data_schemas.shapes import shapes_of
from badges.catalog.documents import Problem
from badges.rules import Shape

__all__ = ["DataSchema", "read_schema"]


@dataclass(frozen=True)
class DataSchema:
    """
    A schema that can be used.

    - ``shape``: the shape of all data, with personal fields marked.
    - ``visible``: the shape of what rules may use: without personal fields and without fields of no certain type.
    - ``check``: raises ShapeError when data does not fit the schema. Its second argument is put before the path.
    - ``notes``: what the schema says about values, by key path: unit, description, an example.
    """

    shape: Shape
    visible: Shape
    check: Callable[[Any, str], None]
    notes: Mapping[str, str] = field(default_factory=dict)


def read_schema(schema: Any, path: str) -> tuple[DataSchema | None, list[Problem]]:
    """Return what a schema says about data, or None and all problems. ``path`` is the path of the schema itself."""
    problems = keyword_problems(schema, path)
    if problems:
        return None, problems
    expanded, problems = expand(schema, path)
    if problems:
        return None, problems
    shapes, problems = shapes_of(expanded, path)
    if shapes is None or problems:
        return None, problems
    return DataSchema(shapes.shape, shapes.visible, compile_check(expanded, shapes.shape), shapes.notes), []
