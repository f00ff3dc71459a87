"""MariaDB 10.11, with the server-wide defaults that a host is likely to have."""

from __future__ import annotations

from pathlib import Path

from tests.services.service import Service, can_connect


class MariaDB(Service):
    """
    One server on a socket.

    Its default collation ignores case and accents, as Debian's does. So a column that must distinguish ``Abc-1`` from
    ``abc-1`` needs a collation of its own.
    """

    name = "mariadb"
    packages = "mariadb-server"
    accounts = ("mysql",)

    @property
    def url(self) -> str:
        return f"mysql://root@localhost/badges?unix_socket={self.socket}"

    @property
    def socket(self) -> Path:
        return self.folder / "data" / "s"

    def find(self) -> None:
        self._install = self.program("mariadb-install-db")
        self._server = self.program("mariadbd")

    def prepare(self) -> None:
        self._data = self.own_folder("data")
        # A separate folder, because a server that starts removes all temporary tables in its folder.
        self._temporary = self.own_folder("tmp")
        self.run(
            self._install,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--tmpdir={self._temporary}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        )
        init = self.folder / "init.sql"
        init.write_text("CREATE DATABASE IF NOT EXISTS badges;\n")
        init.chmod(0o644)

    def command(self) -> list[str | Path]:
        return [
            self._server,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--tmpdir={self._temporary}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={self._data / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=2",  # a commit survives a crash of the server
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--skip-name-resolve",
        ]

    def answers(self) -> bool:
        return self.socket.exists() and can_connect(self.port)
