"""A request as it came in and a reply as it will leave: what the parts of the server hand to each other."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote

FieldErrors = Sequence[tuple[str, str]]


class Refused(Exception):
    """The request cannot be granted."""

    def __init__(self, status: int, message: str, errors: FieldErrors = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)


@dataclass(frozen=True)
class Request:
    """A request, its headers named like ``Content-Type``; ``refused`` when its body could not be taken in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    refused: Refused | None = None

    @cached_property
    def path(self) -> str:
        """The path as a front proxy hands it on: decoded once, dots resolved."""
        return posixpath.normpath("/" + unquote(self.target.partition("?")[0]).lstrip("/"))

    @cached_property
    def query(self) -> dict[str, str]:
        """The query, the last of equal names."""
        return {name: values[-1] for name, values in parse_qs(self.target.partition("?")[2]).items()}

    @property
    def content_type(self) -> str:
        """The media type of the body, without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object, or refuse."""
        try:
            body = json.loads(self.body or b"{}", parse_constant=_refuse_constant)
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair parses, and is no text
        except (ValueError, RecursionError) as problem:
            raise Refused(400, "The body is not JSON") from problem
        if not isinstance(body, dict):
            raise Refused(400, "The body must be a JSON object")
        return body


@dataclass
class Reply:
    """A reply, and what to do about the connection: wait first, or cut it; ``afterwards`` runs when it is out."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    afterwards: Callable[[], None] | None = None

    def content(self) -> bytes:
        """The body as bytes; text goes as it is, everything else as JSON."""
        if self.body is None:
            return b""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
