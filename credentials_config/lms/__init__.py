"""
The LMS: who is enrolled, what they completed, which grades they have, when courses begin and end.

``client()`` returns the same interface (``Lms``) however the LMS is reached. The setting ``lms.transport`` in
``CREDENTIALS_CONFIG`` chooses. ``python`` is the platform's own Python API, when this plugin is installed in the
platform. ``http`` is its HTTP API. ``auto`` is ``python`` where that is possible, else ``http``.
"""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

from badges.exceptions import Permanent
from credentials_config.conf import config
from credentials_config.lms.base import NOTHING_TO_COMPLETE, Assignment, Grades, Lms, Section, UnknownContext
from credentials_config.lms.http import HttpLms
from credentials_config.lms.platform import PlatformLms, is_in_platform

__all__ = [
    "NOTHING_TO_COMPLETE",
    "Assignment",
    "Grades",
    "Lms",
    "Section",
    "UnknownContext",
    "client",
    "close_clients",
    "is_configured",
]

_lock = threading.Lock()
_clients: dict[str, Lms] = {}


def client() -> Lms:
    """Return the LMS of the current settings. The client stays the same as long as the settings do."""
    settings = config.lms
    key = json.dumps(settings, sort_keys=True, default=str)
    with _lock:
        if key not in _clients:
            _close_clients()
            _clients[key] = _new_client(settings)
        return _clients[key]


def is_configured() -> bool:
    """Return whether there is an LMS that can be asked."""
    return config.lms["transport"] == "python" or bool(config.lms["url"]) or is_in_platform()


def close_clients() -> None:
    """Close the connections. The next ``client()`` returns a new one."""
    with _lock:
        _close_clients()


def _close_clients() -> None:
    for known in _clients.values():
        if isinstance(known, HttpLms):
            with contextlib.suppress(OSError):
                known.close()
    _clients.clear()


def _new_client(settings: dict[str, Any]) -> Lms:
    transport = settings["transport"]
    if transport == "auto":
        transport = "python" if is_in_platform() else "http"
    if transport == "python":
        return PlatformLms(settings)
    if transport == "http":
        return HttpLms(settings)
    raise Permanent(
        f"CREDENTIALS_CONFIG['lms']['transport'] is {transport!r}. "
        "Choose 'auto', 'python' (inside the platform) or 'http'."
    )
