"""
Saying no the way Credly does: a status, a sentence, and field errors whose shape is never quite the same.

What a client may rely on is the status. The shapes go round on purpose, so that nobody comes to depend on one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from badges.testing.standin import Refused


def _listed(refused: Refused) -> dict[str, Any]:
    errors = [{"attribute": name, "messages": [message]} for name, message in refused.errors]
    return {"data": {"message": refused.message, "errors": errors}}


def _mapped(refused: Refused) -> dict[str, Any]:
    errors: dict[str, list[str]] = {}
    for name, message in refused.errors:
        errors.setdefault(name, []).append(message)
    return {"message": refused.message, "errors": errors}


def _sentences(refused: Refused) -> dict[str, Any]:
    return {"errors": [f"{name} {message}" for name, message in refused.errors] or [refused.message]}


def _errors_as_one_text(refused: Refused) -> dict[str, Any]:
    details = "; ".join(f"{name} {message}" for name, message in refused.errors)
    return {"data": {"errors": details or refused.message}}


def _bare(refused: Refused) -> dict[str, Any]:
    return {"error": refused.message}


SHAPES: dict[str, Callable[[Refused], dict[str, Any]]] = {
    "listed": _listed,
    "mapped": _mapped,
    "sentences": _sentences,
    "one_text": _errors_as_one_text,
    "bare": _bare,
}
VARYING = "varying"


class ErrorBodies:
    """Turns a refusal into a body: always in one shape, or (``varying``) in each of them by turns."""

    def __init__(self, shape: str = VARYING) -> None:
        if shape != VARYING and shape not in SHAPES:
            raise ValueError(f"error_shape: {shape!r} is unknown. Choose one of: varying, {', '.join(SHAPES)}.")
        self._turns = itertools.cycle(SHAPES.values() if shape == VARYING else [SHAPES[shape]])

    def of(self, refused: Refused) -> dict[str, Any]:
        """Give the body for this refusal."""
        return next(self._turns)(refused)
