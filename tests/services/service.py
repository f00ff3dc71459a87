"""What every real server of the tests has in common: a folder, a port, a log, and the verbs."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import tempfile
import weakref
from pathlib import Path
from typing import ClassVar, Self

from tests.services.processes import Process, ProcessError, account_group

# Below the range that the kernel gives to outgoing connections: a client that keeps trying a stopped server on a port
# of that range may in the end connect to itself, and keep the server from coming back.
PORTS = range(21000, 31000)

_open: weakref.WeakSet[Service] = weakref.WeakSet()
_claims: list[socket.socket] = []


class ServiceUnavailable(Exception):
    """A service cannot be had on this machine, or does not start; the message names the remedy."""


class Service:
    """
    One server: prepared once, started and stopped as often as a test likes, on the same port with the same data.

    ``stop`` is orderly, ``kill`` is a crash, ``close`` ends it for good and removes its folder. Starting a running
    service and stopping a stopped one is fine.
    """

    name: ClassVar[str]
    packages: ClassVar[str]
    # Root may not run some servers; these accounts are tried in turn.
    accounts: ClassVar[tuple[str, ...]] = ()
    start_seconds: ClassVar[float] = 60
    stop_seconds: ClassVar[float] = 30
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    kill_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        # Short, because a socket's path may have 107 characters, and readable for the account that the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        self.port = free_port()
        self.process: Process | None = None
        self._prepared = False
        self._owner = os.getpid()
        _open.add(self)

    # What a service tells about itself

    def find(self) -> None:
        """Find the programs, or raise ``ServiceUnavailable``."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the data folder; runs once, before the first start."""

    def command(self) -> list[str | Path]:
        """What to run."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Say whether it serves already; any ``OSError`` means no."""
        return can_connect(self.port)

    # The verbs

    def start(self) -> Self:
        """Start and wait until it answers."""
        if self.running:
            return self
        if not self.folder.exists():
            raise ServiceUnavailable(f"{self.name} is closed; make a new one.")
        self.find()
        try:
            if not self._prepared:
                self.prepare()
                self._prepared = True
            self.process = self.spawn(self.command())
            self.process.wait_until(self._answers, seconds=self.start_seconds, what="an answer")
        except ProcessError as error:
            self.kill()
            raise ServiceUnavailable(f"{self.name} does not start.\n{error}") from None
        except BaseException:
            self.kill()
            raise
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def stop(self) -> None:
        """Shut down in order; the data and the port are kept for the next start."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        with contextlib.suppress(ProcessError):
            self.process.wait(seconds=self.stop_seconds)
        self.process.ensure_gone()

    def kill(self) -> None:
        """Crash, as when the machine's power is cut."""
        if self.process is None:
            return
        if self.kill_signal is not signal.SIGKILL and self.process.running:
            self.process.send_signal(self.kill_signal)
            with contextlib.suppress(ProcessError):
                self.process.wait(seconds=self.stop_seconds)
        self.process.ensure_gone()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good and remove what it wrote. Does nothing in a fork of ours."""
        if os.getpid() == self._owner:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    # For subclasses

    def spawn(self, argv: list[str | Path], log: Path | None = None) -> Process:
        """Run a program of this service, as its account and with its log."""
        return Process(argv, log=log or self.log, cwd=self.folder, account=self.account, last_signal=self.kill_signal)

    def run(self, *argv: str | Path, seconds: float = 60) -> str:
        """Run a program of this service to its end and return what it printed."""
        process = self.spawn(list(argv), log=self.folder / "prepare.log")
        if process.wait(seconds=seconds) != 0:
            raise process.error(f"ended with exit code {process.returncode}")
        return process.output()

    def own_folder(self, name: str) -> Path:
        """Make a folder that belongs to the account which the server runs as."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if self.account:
            os.chown(folder, pwd.getpwnam(self.account).pw_uid, account_group(self.account))
        return folder

    @property
    def account(self) -> str | None:
        """The user to run as: None for our own."""
        if os.getuid() != 0 or not self.accounts:
            return None
        known = {entry.pw_name for entry in pwd.getpwall()}
        return next(account for account in (*self.accounts, "nobody") if account in known)

    def program(self, name: str, *folders: str) -> Path:
        """Find a program in these folders or on the path."""
        search = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        found = shutil.which(name, path=search)
        if not found:
            raise ServiceUnavailable(f"{self.name}: no {name} here. Install it: {self.remedy()}")
        return Path(found)

    @classmethod
    def remedy(cls) -> str:
        """Return the one line that installs it, and the one that does without."""
        return f"apt-get install -y {cls.packages}   (or leave it out: make test WITHOUT={cls.name})"

    def _answers(self) -> bool:
        try:
            return self.answers()
        except OSError:
            return False


def free_port() -> int:
    """
    Return a port on which nobody listens, and which no other test process here is given while ours lives.

    A port is asked for long before a server binds it, and is free again whenever a test stops that server.
    """
    candidates = random.SystemRandom()
    for _ in range(1000):
        port = candidates.choice(PORTS)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0badges-tests-port-{port}")  # an abstract name: no file, and the kernel drops it with us
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise ServiceUnavailable(f"No free port between {PORTS.start} and {PORTS.stop}.")


def can_connect(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


@atexit.register
def _close_all() -> None:
    for service in list(_open):
        service.close()
