"""Child processes that write their output to a file and end with the process that started them."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
ROOT = Path(__file__).resolve().parents[2]
TAIL_LINES = 40

PR_SET_PDEATHSIG = 1
# Loaded here because nothing may be imported between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True)
_started: weakref.WeakSet[Process] = weakref.WeakSet()


class ProcessError(AssertionError):
    """A child process did not do what a test expected. The message ends with its last lines of output."""


class Process:
    """
    One child process. It has its own session, so that Ctrl-C reaches the tests and not the child.

    ``account`` is an unprivileged user to run as; only root may choose one. ``last_signal`` is the signal that the
    kernel sends to the child when the parent ends first.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        account: str | None = None,
        last_signal: signal.Signals = signal.SIGKILL,
    ):
        self.argv = [str(part) for part in argv]
        self.log = log
        self._owner = os.getpid()
        self._gone = False
        # A restarted service appends to its log. `wait_for` must not find what the earlier process wrote.
        self._seen = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(os.environ if env is None else env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_die_with_parent(last_signal),
                **({"user": account, "group": account_group(account), "extra_groups": []} if account else {}),
            )
        _started.add(self)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        return self.returncode is None

    def output(self) -> str:
        """Everything that this child has printed so far."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            return log.read().decode(errors="replace")

    def wait_for(self, text: str, *, seconds: float = 120) -> str:
        """Wait until a line of the output contains the text and return that line."""

        def line() -> str | None:
            return next((line for line in self.output().splitlines() if text in line), None)

        return self.wait_until(line, seconds=seconds, what=f"the line {text!r}")

    def wait_until(self, found: Callable[[], Found | None], *, seconds: float = 120, what: str) -> Found:
        """Wait until the callable returns something true; the child must not end before that."""
        deadline = time.monotonic() + seconds
        while True:
            running = self.running  # checked first, so that what it wrote before its end still counts
            if result := found():
                return result
            if not running:
                raise self.error(f"ended with exit code {self.returncode} before {what}")
            if time.monotonic() > deadline:
                raise self.error(f"still runs, but without {what} after {seconds:g} s")
            time.sleep(0.05)

    def wait(self, *, seconds: float = 120) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.error(f"has not ended after {seconds:g} s") from None

    def send_signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def terminate(self, *, seconds: float = 120) -> int:
        """Ask it to end (SIGTERM), wait and return the exit code."""
        self._popen.terminate()
        return self.wait(seconds=seconds)

    def kill(self) -> None:
        """Send SIGKILL, so that it cannot finish anything."""
        self._popen.kill()
        self._popen.wait()

    def ensure_gone(self) -> None:
        """Kill it and all processes that it started. Does nothing in a fork of the test process."""
        if self._gone or os.getpid() != self._owner:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._gone = True  # from now on another process may get this pid

    def error(self, what: str) -> ProcessError:
        lines = self.output().splitlines()[-TAIL_LINES:]
        return ProcessError("\n".join([f"{' '.join(self.argv)}\n{what}; its last lines:", *lines]))


def manage(
    *arguments: str, log: Path, database_url: str, env: Mapping[str, str] | None = None, python: str = sys.executable
) -> Process:
    """Start ``manage.py`` with these arguments on this database, in the reference host."""
    return python_process(ROOT / "manage.py", *arguments, log=log, database_url=database_url, env=env, python=python)


def python_process(
    *arguments: str | Path,
    log: Path,
    database_url: str,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Process:
    """Start Python with these arguments and the reference host's settings: ``python_process("-m", "celery", …)``."""
    return Process(
        [python, *arguments],
        log=log,
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "service.settings",
            "DATABASE_URL": database_url,
            **(env or {}),
        },
    )


def account_group(account: str) -> int:
    return pwd.getpwnam(account).pw_gid


def _die_with_parent(number: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def in_child() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # the parent ended before prctl was called
            os._exit(1)

    return in_child


@atexit.register
def _end_all() -> None:
    for process in list(_started):
        process.ensure_gone()
