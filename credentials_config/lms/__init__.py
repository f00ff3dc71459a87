"""
The LMS: who is enrolled, what they completed, which grades they have, when courses begin and end.

``client()`` gives one and the same interface (``Lms``) whichever way the LMS is reached. ``lms.transport`` in
``CREDENTIALS_CONFIG`` chooses: ``python``, the platform's own API when this is installed in it; ``http``, its HTTP API;
``auto``, the first where it can be had and else the second.
"""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

from badges.exceptions import Permanent
from credentials_config.conf import config
from credentials_config.lms.base import Assignment, Grades, Lms, Section, UnknownContext
from credentials_config.lms.http import HttpLms
from credentials_config.lms.platform import PlatformLms, is_here

__all__ = ["Assignment", "Grades", "Lms", "Section", "UnknownContext", "client", "forget", "is_configured"]

_lock = threading.Lock()
_clients: dict[str, Lms] = {}


def client() -> Lms:
    """Return the LMS by the settings as they are now; one client for as long as they stay the same."""
    settings = config.lms
    key = json.dumps(settings, sort_keys=True, default=str)
    with _lock:
        if key not in _clients:
            _forget()
            _clients[key] = _made(settings)
        return _clients[key]


def is_configured() -> bool:
    """Whether there is an LMS to be asked at all."""
    return config.lms["transport"] == "python" or bool(config.lms["url"]) or is_here()


def forget() -> None:
    """Close the connections; the next ``client()`` is a new one."""
    with _lock:
        _forget()


def _forget() -> None:
    for known in _clients.values():
        if isinstance(known, HttpLms):
            with contextlib.suppress(OSError):
                known.close()
    _clients.clear()


def _made(settings: dict[str, Any]) -> Lms:
    transport = settings["transport"]
    if transport == "auto":
        transport = "python" if is_here() else "http"
    if transport == "python":
        return PlatformLms(settings)
    if transport == "http":
        return HttpLms(settings)
    raise Permanent(
        f"CREDENTIALS_CONFIG['lms']['transport'] is {transport!r}. "
        "Choose 'auto', 'python' (inside the platform) or 'http'."
    )
