"""The settings of the reference host are safe where other people can reach it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PUBLIC = {"PUBLIC_URL": "https://badges.example.org", "ALLOWED_HOSTS": "badges.example.org"}
KEY = {"SECRET_KEY": "pyramid-of-marsupials-" * 3}


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", *PUBLIC)}
    argv = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(argv, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("environment", [{"PUBLIC_URL": "http://badges.example.org"}, {"ALLOWED_HOSTS": "*"}])
def test_it_does_not_start_for_others_with_the_key_that_everybody_knows(environment: dict[str, str]) -> None:
    refused = check(**environment)
    assert refused.returncode != 0
    assert "Set SECRET_KEY to a long random text" in refused.stderr


def test_with_a_key_and_tls_nothing_is_left_to_warn_of() -> None:
    checked = check(**PUBLIC, **KEY)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "no issues (3 silenced)" in checked.stdout
