"""
A developer chooses which services to leave out, and this is reported.

A missing service fails and says what to do.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.services.processes import ROOT

REDIS_TEST = "tests/services/test_services.py::test_redis_keeps_a_key_over_a_restart"


def test_what_was_left_out_is_said_loudly() -> None:
    done = _pytest("--without", "redis", REDIS_TEST)
    assert "! LEFT OUT by choice: redis -- 1 tests did not run !" in done.stdout
    assert done.returncode == 0


def test_a_service_that_is_not_here_fails_and_names_the_line_that_installs_it() -> None:
    done = _pytest(REDIS_TEST, path="/nowhere")
    assert "apt-get install -y redis-server" in done.stdout
    assert "1 passed" not in done.stdout
    assert done.returncode == 1


def test_settings_that_were_read_too_early_are_refused() -> None:
    done = _pytest("--collect-only", REDIS_TEST, DJANGO_SETTINGS_MODULE="service.settings")
    assert "Unset DJANGO_SETTINGS_MODULE" in done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR


def test_packages_of_what_is_left_out_are_not_asked_for() -> None:
    argv = [sys.executable, "-m", "tests.services", "packages", "--without", "mariadb", "--without", "kafka"]
    packages = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "mariadb-server" not in packages
    assert "redis-server" in packages
    assert "maven" in packages  # the schema registry needs it too
    assert len(packages) == len(set(packages))


def _pytest(*arguments: str, path: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a separate process, without the environment variables of this run."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DJANGO_", "DATABASE_URL"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments],
        cwd=ROOT,
        env={**kept, "PATH": path or os.environ["PATH"], "COLUMNS": "200", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
