"""What is stored and logged about an error: no personal data, which the messages of other packages may quote."""

from __future__ import annotations

import traceback
from pathlib import Path

from badges.exceptions import BadgesError

OURS: tuple[type[BaseException], ...] = (BadgesError,)


def storable_message(error: BaseException, *, ours: tuple[type[BaseException], ...] = OURS) -> str:
    """
    Return what went wrong, without personal data.

    Only errors of the types ``ours`` keep their message. Of the others the class and the line of code are named.
    """
    if isinstance(error, ours):
        return str(error)
    innermost = (traceback.extract_tb(error.__traceback__) or [None])[-1]
    where = f" in {Path(innermost.filename).name}:{innermost.lineno}" if innermost else ""
    return f"{type(error).__name__}{where}; the worker's log has more."


def code_lines(error: BaseException) -> str:
    """Return the lines of code that an error came through, for the log, without the message of the error."""
    return "".join(traceback.format_tb(error.__traceback__))
