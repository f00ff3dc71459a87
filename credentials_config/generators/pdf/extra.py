"""The libraries of the extra ``[pdf]``, which a host that only gives badges does without."""

from __future__ import annotations

from importlib.util import find_spec

LIBRARIES = ("pypdfium2", "segno", "typst")


def missing() -> str:
    """Return what is not installed and the remedy, in words; nothing when all is there."""
    names = [name for name in LIBRARIES if find_spec(name) is None]
    return f"PDF documents need {', '.join(names)}: pip install 'lms-badges[pdf]'" if names else ""
