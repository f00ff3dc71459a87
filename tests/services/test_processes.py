"""Child processes can be controlled and never outlive the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.processes import ROOT, Process, ProcessError


def test_a_line_is_waited_for(tmp_path: Path) -> None:
    process = Process(["/bin/sh", "-c", "sleep 0.2; echo 'ready: 42'; exec sleep 60"], log=tmp_path / "log")
    assert process.wait_for("ready") == "ready: 42"
    assert process.terminate() == -signal.SIGTERM
    assert not process.running


def test_a_child_that_ends_too_early_shows_its_last_lines(tmp_path: Path) -> None:
    process = Process(["/bin/sh", "-c", "echo 'disk full'; exit 7"], log=tmp_path / "log")
    with pytest.raises(ProcessError, match=r"(?s)exit code 7 before the line 'ready'.*disk full"):
        process.wait_for("ready")


def test_the_output_of_an_earlier_life_is_not_taken_for_this_one(tmp_path: Path) -> None:
    Process(["/bin/sh", "-c", "echo ready"], log=tmp_path / "log").wait()
    process = Process(["/bin/sh", "-c", "exec sleep 60"], log=tmp_path / "log")
    with pytest.raises(ProcessError, match="without the line 'ready'"):
        process.wait_for("ready", seconds=0.3)
    process.kill()
    assert process.returncode == -signal.SIGKILL


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    process = Process(["/bin/sh", "-c", "sleep 61 & echo started $!; wait"], log=tmp_path / "log")
    grandchild = int(process.wait_for("started").split()[1])
    process.ensure_gone()
    _wait_until_gone(grandchild)


def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from tests.services.processes import Process; import time;"
        f"print(Process(['/bin/sleep', '62'], log=Path({str(tmp_path / 'log')!r})).pid, flush=True); time.sleep(62)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    _wait_until_gone(child)


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return  # a zombie: dead, but its parent has not read the exit code
        time.sleep(0.05)
    pytest.fail(f"{pid} is still there")
