"""The test host as a process: its commands, and questions to it (``credentials_like.probes``)."""

from __future__ import annotations

import json
import os
import shutil
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
    """The host ended with an error; the message is what it printed."""


class Host:
    """
    The host on a database of its own, on the server that this run of the tests is on.

    One process answers everything, until ``install`` or ``uninstall`` starts another one.
    """

    def __init__(self, database_url: str, media: Path) -> None:
        self._database_url, self._media, self._has_plugin = database_url, media, True
        self._process: subprocess.Popen[str] | None = None

    def install(self) -> None:
        """Go on with the plugin."""
        self.close()
        self._has_plugin = True

    def uninstall(self) -> None:
        """Go on without the plugin, as after ``pip uninstall``."""
        self.close()
        self._has_plugin = False

    def run(self, *arguments: str, succeeds: bool = True) -> str:
        """Run a command of the host and return what it prints. Raises HostFailure when it fails, or was to fail."""
        done = self.ask("command", *arguments)
        if (done["code"] == 0) is not succeeds:
            raise HostFailure(f"{arguments} ended with {done['code']}:\n{done['printed']}")
        return str(done["printed"])

    def ask(self, probe: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a probe returns. Raises HostFailure when it raises."""
        process = self._process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps([probe, args, kwargs]) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise HostFailure("The host does not start; its output is above.") from None
        line = process.stdout.readline()
        if not line:
            raise HostFailure("The host does not start; its output is above.")
        answer = json.loads(line)
        if "error" in answer:
            raise HostFailure(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": self._database_url,
            "MEDIA_ROOT": str(self._media),
            "WITHOUT_PLUGIN": "0" if self._has_plugin else "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", f"{SETTINGS.rpartition('.')[0]}.probes"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def make_database(name: str, folder: Path) -> str:
    """Make an empty database beside the one of this run and return its URL. The caller removes it."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{folder / name}.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")
    return _url_beside(name)


def _url_beside(name: str) -> str:
    return urlunsplit(urlsplit(test_database_url())._replace(path=f"/{name}"))


def copy_database(original: str, original_folder: Path, name: str, folder: Path) -> str:
    """Make a database with all that is in another one, which nobody is connected to, and return its URL."""
    if connection.vendor == "sqlite":
        shutil.copyfile(original_folder / f"{original}.sqlite3", folder / f"{name}.sqlite3")
        return make_database(name, folder)
    quote = connection.ops.quote_name
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quote(name)} TEMPLATE {quote(original)}")
        return _url_beside(name)
    url = make_database(name, folder)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DATABASE()")
        (own,) = cursor.fetchone()
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [original])
        tables = [quote(table) for (table,) in cursor.fetchall()]
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute(f"USE {quote(name)}")
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE {quote(original)}.{table}")
            cursor.execute(cursor.fetchone()[1].replace("%", "%%"), [])
            cursor.execute(f"INSERT INTO {table} SELECT * FROM {quote(original)}.{table}")
        cursor.execute(f"USE {quote(own)}")
        cursor.execute("SET foreign_key_checks = 1")
    return url


def remove_database(name: str) -> None:
    """Remove a database that ``make_database`` made."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {connection.ops.quote_name(name)}")
