"""The test host as a process: its commands, and questions to it (``credentials_like.probes``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from tests.services.databases import test_database_url
from tests.services.processes import ROOT

SETTINGS = "tests.hosts.credentials_like.settings"
OURS = ("lms_badges", "lms_credentials_config")


class HostFailure(AssertionError):
    """A command of the host ended with an error; the message is what it printed."""


class Host:
    """
    The host on a database of its own, on the server that this run of the tests is on.

    ``has_plugin`` is whether the plugin is installed there; change it between two calls to install or uninstall it.
    """

    def __init__(self, database_url: str, media: Path) -> None:
        self.database_url, self.media, self.has_plugin = database_url, media, True
        self.environment: dict[str, str] = {}

    def run(self, *arguments: str, succeeds: bool = True) -> str:
        """Run a command of the host and return what it prints. Raises HostFailure when it fails, or was to fail."""
        return self._python("-m", "django", *arguments, succeeds=succeeds)

    def ask(self, probe: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a probe returns."""
        question = json.dumps({"args": args, "kwargs": kwargs})
        printed = self._python("-m", f"{SETTINGS.rpartition('.')[0]}.probes", probe, question)
        return json.loads(printed.splitlines()[-1])

    def _python(self, *arguments: str, succeeds: bool = True) -> str:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": self.database_url,
            "MEDIA_ROOT": str(self.media),
            "WITHOUT_PLUGIN": "0" if self.has_plugin else "1",
            **self.environment,
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if (done.returncode == 0) is not succeeds:
            raise HostFailure(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout + (done.stderr if not succeeds else "")


def make_database(name: str, folder: Path) -> str:
    """Make an empty database beside the one of this run and return its URL. The caller removes it."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{folder / name}.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")
    parts = urlsplit(test_database_url())
    return urlunsplit(parts._replace(path=f"/{name}"))


def remove_database(name: str) -> None:
    """Remove a database that ``make_database`` made."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {connection.ops.quote_name(name)}")
