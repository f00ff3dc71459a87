"""The libraries of the extra ``[pdf]``. A host that only awards badges does not need them."""

from __future__ import annotations

from importlib.util import find_spec

LIBRARIES = ("pypdfium2", "segno", "typst", "uharfbuzz")


def missing() -> str:
    """Return a sentence that names the missing libraries and the remedy, or "" when none is missing."""
    names = [name for name in LIBRARIES if find_spec(name) is None]
    return f"PDF documents need {', '.join(names)}: pip install 'lms-badges[pdf]'" if names else ""
