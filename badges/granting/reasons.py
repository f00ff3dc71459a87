"""Whether a reason that a person or a program gives can be stored. Pure."""

from __future__ import annotations

from badges.exceptions import UnusableReasonError


def check_reason(field: str, text: str, *, longest: int) -> None:
    """
    Raise UnusableReasonError when no column takes a reason: it is too long, or has a character that databases refuse.

    ``field`` is the name of the argument, for the message. ``longest`` is a number of characters.
    """
    if len(text) > longest:
        raise UnusableReasonError(field, f"It has {len(text)} characters. Shorten it to {longest}.")
    if "\0" in text:
        raise UnusableReasonError(field, "There is a character NUL in it; take it out.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UnusableReasonError(field, "There is half a character in it (\\ud800 to \\udfff); take it out.")
