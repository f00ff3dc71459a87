"""
The settings of scheduled credentials: one dict, ``CREDENTIALS_CONFIG``, read when asked.

``DEFAULTS`` is the whole list of keys with their values when a host says nothing. A dict in the host's settings is
merged over a dict here, anything else replaces it. Nothing is read when this module is imported.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DEFAULTS: dict[str, Any] = {
    "lms": {
        # "python": the platform's own Python API, in its process; "http": its HTTP API; "auto": the first where the
        # platform is installed, else the second.
        "transport": "auto",
        # Where the LMS is, without a path: "https://lms.example.org". Only for "http".
        "url": "",
        # An OAuth2 application of the LMS with the client credentials grant, whose user is staff there.
        "client_id": "",
        "client_secret": "",
        # Seconds to wait for a connection, and for an answer.
        "timeout": 30,
        # Tries of one request that may succeed later, before the run is put off. The delay doubles each time;
        # Retry-After wins, unless it is longer than max_delay.
        "attempts": 4,
        "base_delay": 0.5,
        "max_delay": 30.0,
        # Learners in one request (at most 100), and entries on one page of an answer.
        "chunk": 100,
        "page_size": 100,
        # Requests at a time, where the LMS has to be asked learner by learner.
        "parallel": 4,
        # Paths of the LMS that are not the usual ones; see credentials_config/lms/paths.py for the names.
        "paths": {},
    },
    "pdf": {
        # What one document may take before its worker process is killed.
        "seconds": 10,
        "megabytes": 1024,
        # The biggest template, image or font.
        "asset_megabytes": 20,
        # Folders with the machine's fonts. None: where distributions put the Noto fonts.
        "font_folders": None,
    },
}


class _Config:
    """Attribute access to ``CREDENTIALS_CONFIG`` merged over ``DEFAULTS``; an unknown name is a programming error."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in DEFAULTS:
            raise AttributeError(name)
        given = getattr(settings, "CREDENTIALS_CONFIG", {})
        if not isinstance(given, dict):
            raise ImproperlyConfigured("CREDENTIALS_CONFIG must be a dict; see the settings page of the documentation.")
        default = DEFAULTS[name]
        if name not in given:
            return default
        value = given[name]
        if isinstance(default, dict) and default and isinstance(value, dict):
            return {**default, **value}
        return value


config = _Config()
