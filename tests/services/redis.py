"""Redis 7: Celery's broker and the Redis event bus."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.services.service import Service


class Redis(Service):
    """One Redis. Its data survives a stop, but not the loss of the machine."""

    name = "redis"
    packages = "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def find(self) -> None:
        self._server = self.program("redis-server")

    def command(self) -> list[str | Path]:
        options: dict[str, object] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
        }
        options |= self.options()
        return [self._server, *(part for key, value in options.items() for part in (f"--{key}", str(value)))]

    def options(self) -> dict[str, object]:
        """Return more options of the server, for a subclass."""
        return {}

    def answers(self) -> bool:
        # A connection is not enough: while Redis loads its data, it accepts connections and refuses every command.
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
