"""PostgreSQL: the newest version on this machine."""

from __future__ import annotations

import signal
import socket
import struct
from pathlib import Path

from tests.services.service import Service

CANCEL_STARTUP = struct.pack("!ihh", 8, 1234, 5679)  # an SSLRequest: answered with one byte, before any log-in


class PostgreSQL(Service):
    """One cluster. Commits reach the operating system but not the disk, so only a crash of the server is survived."""

    name = "postgresql"
    packages = "postgresql"
    accounts = ("postgres",)
    stop_signal = signal.SIGINT  # "fast": does not wait for clients to leave
    # "Immediate": an abort with recovery at the next start. SIGKILL of the parent would leave its children, and their
    # shared memory would prevent the next start.
    kill_signal = signal.SIGQUIT

    @property
    def url(self) -> str:
        return f"postgresql://badges@127.0.0.1:{self.port}/badges"

    def find(self) -> None:
        # On Debian the server's programs are not on the path; each version has its own folder.
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
        self._folders = [str(folder) for folder in reversed(versions)]
        self.program("initdb", *self._folders)

    def prepare(self) -> None:
        self._data = self.own_folder("data")
        initdb = self.program("initdb", *self._folders)
        self.run(
            initdb,
            f"--pgdata={self._data}",
            "--username=badges",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        )
        # By default clients connect to the database with the name of their user.
        with (self._data / "postgresql.auto.conf").open("a") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in self._settings().items())
        single = [self.program("postgres", *self._folders), "--single", "-D", self._data, "postgres"]
        self.run("/bin/sh", "-c", 'echo "CREATE DATABASE badges" | "$@"', "sh", *single)

    def command(self) -> list[str | Path]:
        return [self.program("postgres", *self._folders), "-D", self._data]

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(CANCEL_STARTUP)
            if connection.recv(1) not in (b"N", b"S"):
                return False
        # The port opens before recovery is over; the line in the log comes after it.
        return self.process is not None and "ready to accept connections" in self.process.output()

    def _settings(self) -> dict[str, str]:
        return {
            "port": str(self.port),
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": "''",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "'128MB'",
            "autovacuum": "on",
            # Counts statements, for the benchmarks.
            "shared_preload_libraries": "pg_stat_statements",
        }
