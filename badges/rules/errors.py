"""What the rules refuse: events that do not look as declared, and rules that cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from badges.exceptions import BadgesError, EventError

RuleErrorKind = Literal["unknown_operator", "invalid_criteria", "limit"]
RuleField = Literal["path", "operator", "value"]
CriteriaErrorKind = Literal[
    "invalid_json", "unsupported_format", "unknown_operator", "invalid_criteria", "limit", "sandbox"
]


class ShapeError(EventError):
    """
    An event's data does not have its declared shape.

    ``path`` is the place; lists appear in it as ``[]`` and the keys of maps as ``*``, because keys of maps are data
    and may be personal. ``message`` names the path and what was expected, never the value. ``further`` are other errors
    of the same data, if whoever checked it has looked for more than one.
    """

    def __init__(self, path: str, expected: str, *, further: Sequence[ShapeError] = ()):
        self.path = path
        self.expected = expected
        self.further = tuple(further)
        self.message = f"{path or 'the data'}: {expected}"
        super().__init__(self.message)

    def below(self, where: str) -> ShapeError:
        """Return the same error with a path that begins further up."""
        if not where or not self.path:
            return ShapeError(where or self.path, self.expected)
        dot = "" if self.path.startswith("[") else "."
        return ShapeError(f"{where}{dot}{self.path}", self.expected)


class RuleError(BadgesError):
    """
    A rule cannot be compiled; the message says what to write instead.

    ``kind`` is one of unknown_operator, invalid_criteria, limit. ``path`` is the key path the rule is about. ``field``
    says which part of the rule is to be changed (path, operator or value), so that a form can show it there.
    """

    def __init__(self, kind: RuleErrorKind, path: str, message: str, *, field: RuleField = "value"):
        self.kind = kind
        self.path = path
        self.field = field
        self.message = message
        super().__init__(message)


class CriteriaError(BadgesError):
    """
    A criteria document cannot be used; ``message`` says what to write instead.

    ``kind`` is one of invalid_json, unsupported_format, unknown_operator, invalid_criteria, limit, sandbox. ``path`` is
    a JSON Pointer (RFC 6901) to the place in the document; the empty text is the whole document.
    """

    def __init__(self, kind: CriteriaErrorKind, path: str, message: str):
        super().__init__(kind, path, message)
        self.kind = kind
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class LimitError(ValueError):
    """An operand is larger than is allowed; everything else about it may be right."""
