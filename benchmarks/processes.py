"""Run the measured commands as separate processes, and read from PostgreSQL how many statements they cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from rich.console import Console

from tests.services import PostgreSQL
from tests.services.processes import ROOT

# Wide enough for the tables, also without a terminal.
console = Console(width=None if sys.stdout.isatty() else 140)


def run(env: Mapping[str, str], *arguments: object) -> str:
    """
    Run Python with arguments in the project's folder and return its output.

    Raises SystemExit with the output on failure.
    """
    return _run([sys.executable, *map(str, arguments)], env, ROOT).stdout


def run_in(folder: Path, env: Mapping[str, str], *arguments: str, under: Sequence[str] = ()) -> str:
    """
    Run a checkout's own Python in its own folder and return all that was printed.

    ``under`` is the command of a tool that runs Python and watches it, such as valgrind.

    Raises SystemExit with the output on failure, or when the checkout has no environment.
    """
    python = folder / ".venv/bin/python"
    if not python.exists():
        raise SystemExit(f"{folder} has no environment yet: run scripts/venv dev there.")
    done = _run([*under, str(python), *arguments], env, folder)
    return done.stdout + done.stderr


def _run(command: Sequence[str], env: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603 -- our own commands
        command, env=dict(env), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def count_statements(server: PostgreSQL) -> None:
    """Let the server count statements from now on."""
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


def statements(server: PostgreSQL, like: str = "%") -> int:
    """Return how many statements the server ran, without its own checks of foreign keys."""
    with psycopg.connect(server.url) as connection:
        row = connection.execute(
            "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE %s AND query NOT LIKE '%%FOR KEY SHARE OF x%%'",
            [like],
        ).fetchone()
    return int(row[0] or 0) if row else 0
