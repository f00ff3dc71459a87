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
    """A service is not installed on this machine, or does not start. The message says what to do."""


class Service:
    """
    One server. It is prepared once and can be started and stopped many times, on the same port and with the same data.

    ``stop`` shuts it down, ``kill`` crashes it, ``close`` ends it finally and removes its folder. It is allowed to
    start a running service and to stop a stopped one.
    """

    name: ClassVar[str]
    packages: ClassVar[str]
    # Some servers refuse to run as root. Then the first of these accounts that exists is used.
    accounts: ClassVar[tuple[str, ...]] = ()
    start_seconds: ClassVar[float] = 60
    stop_seconds: ClassVar[float] = 30
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    kill_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        # A short path, because the path of a socket may have 107 characters; readable for the account of the server.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        self.port = free_port()
        self.process: Process | None = None
        self._prepared = False
        self._owner = os.getpid()
        _open.add(self)

    # What a subclass defines

    def find(self) -> None:
        """Find the programs, or raise ``ServiceUnavailable``."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Create the data folder. Runs once, before the first start."""

    def command(self) -> list[str | Path]:
        """Return the command line of the server."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it serves already; an ``OSError`` means no."""
        return can_connect(self.port)

    # What a test calls

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
        """Shut it down; data and port are kept for the next start."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        with contextlib.suppress(ProcessError):
            self.process.wait(seconds=self.stop_seconds)
        self.process.ensure_gone()

    def kill(self) -> None:
        """Crash it."""
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
        """End it finally and remove its files. Does nothing in a fork of the test process."""
        if os.getpid() == self._owner:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    # For subclasses

    def spawn(self, argv: list[str | Path], log: Path | None = None) -> Process:
        """Start a program of this service, with its account and its log."""
        return Process(argv, log=log or self.log, cwd=self.folder, account=self.account, last_signal=self.kill_signal)

    def run(self, *argv: str | Path, seconds: float = 60) -> str:
        """Run a program of this service to its end and return its output."""
        process = self.spawn(list(argv), log=self.folder / "prepare.log")
        if process.wait(seconds=seconds) != 0:
            raise process.error(f"ended with exit code {process.returncode}")
        return process.output()

    def own_folder(self, name: str) -> Path:
        """Create a folder that belongs to the account of the server."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if self.account:
            os.chown(folder, pwd.getpwnam(self.account).pw_uid, account_group(self.account))
        return folder

    @property
    def account(self) -> str | None:
        """The user to run as; None for the present user."""
        if os.getuid() != 0 or not self.accounts:
            return None
        known = {entry.pw_name for entry in pwd.getpwall()}
        return next(account for account in (*self.accounts, "nobody") if account in known)

    def program(self, name: str, *folders: str) -> Path:
        """Find a program in these folders or on the path."""
        search = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        found = shutil.which(name, path=search)
        if not found:
            raise ServiceUnavailable(f"{self.name}: {name} is not installed. Install it: {self.remedy()}")
        return Path(found)

    @classmethod
    def remedy(cls) -> str:
        """Return the line that installs it, and the one that leaves it out."""
        return f"apt-get install -y {cls.packages}   (or leave it out: make test WITHOUT={cls.name})"

    def _answers(self) -> bool:
        try:
            return self.answers()
        except OSError:
            return False


def free_port() -> int:
    """
    Return a port on which nobody listens. No other test process on this machine gets it while this process lives.

    A port is chosen long before a server binds it, and is unused whenever a test stops that server.
    """
    candidates = random.SystemRandom()
    for _ in range(1000):
        port = candidates.choice(PORTS)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(
                f"\0badges-tests-port-{port}"
            )  # an abstract name: there is no file, and it ends with this process
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
