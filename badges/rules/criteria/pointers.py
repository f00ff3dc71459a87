"""JSON Pointers (RFC 6901): how errors and traces name a place in a document."""

from __future__ import annotations


def below(pointer: str, step: str | int) -> str:
    """Return the pointer to a member or an item of what the pointer names."""
    if isinstance(step, str):
        step = step.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{step}"
