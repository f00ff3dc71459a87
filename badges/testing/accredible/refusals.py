"""
Saying no in the ways that Accredible's documentation lists: a status, and a text under one name or another.

What a client may rely on is the status. The shapes go round on purpose, so that nobody comes to depend on one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from badges.testing.standin import Refused


def _text(refused: Refused) -> dict[str, Any]:
    return {"errors": _sentence(refused)}


def _mapped(refused: Refused) -> dict[str, Any]:
    errors: dict[str, list[str]] = {}
    for name, message in refused.errors:
        errors.setdefault(name, []).append(message)
    return {"errors": errors or refused.message}


def _data(refused: Refused) -> dict[str, Any]:
    return {"success": False, "data": _sentence(refused)}


def _coded(refused: Refused) -> dict[str, Any]:
    details = [{"property": name, "message": message} for name, message in refused.errors]
    error = {"code": "credential_invalid", "message": refused.message, "details": details}
    return {"errors": error}


def _sentence(refused: Refused) -> str:
    return "; ".join(f"{name} {message}" for name, message in refused.errors) or refused.message


SHAPES: dict[str, Callable[[Refused], dict[str, Any]]] = {
    "text": _text,
    "mapped": _mapped,
    "data": _data,
    "coded": _coded,
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
