"""
A stand-in in another process: ``RemoteCredly`` is its remote control, ``CredlyProcess`` also starts, kills and
restarts it.

Both know the verbs and witnesses of ``CredlyStandIn`` by the same names.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from badges.testing.credly.control_api import PREFIX
from badges.testing.credly.controls import VERBS, WITNESSES
from badges.testing.credly.provider import ORGANIZATION, TOKEN

STARTS_WITHIN = 30.0


class RemoteCredly:
    """The verbs and witnesses of the stand-in at ``url``, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __getattr__(self, name: str) -> Any:
        if name in WITNESSES:
            return _read(self._ask("GET", name), WITNESSES[name])
        if name in VERBS:
            return self._verb(name)
        raise AttributeError(f"{name!r} is neither a witness nor a verb of the stand-in")

    def _verb(self, name: str) -> Callable[..., Any]:
        def do(**arguments: Any) -> Any:
            return _read(self._ask("POST", name, arguments), VERBS[name])

        return do

    def _ask(self, method: str, name: str, arguments: dict[str, Any] | None = None) -> Any:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            body = None if arguments is None else json.dumps(arguments)
            connection.request(method, f"{PREFIX}/{name}", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer["message"])
        return answer["result"]


class CredlyProcess(RemoteCredly):
    """
    A stand-in that can be killed: ``with CredlyProcess(state=path) as credly: … credly.kill(); credly.start()``.

    It takes the same port again after the first start. It ends with the process that started it, however that ends.
    """

    def __init__(
        self,
        *,
        state: str | Path | None = None,
        port: int = 0,
        organization: str = ORGANIZATION,
        token: str = TOKEN,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__("")
        self.organization, self.token = organization, token
        self._port = port
        self._options = ["--organization", organization, "--token", token, *options]
        if state is not None:
            self._options += ["--state", str(state)]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start the process and wait for its address."""
        command = [sys.executable, "-m", "badges.testing.credly", "--until-stdin-closes", "--port", str(self._port)]
        self.process = subprocess.Popen(  # noqa: S603, our own module
            [*command, *self._options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.stop()
            raise RuntimeError("The Credly stand-in did not start; its own message is above.")
        self._port = urlsplit(self.url).port or 0
        return self

    def kill(self) -> None:
        """SIGKILL: no goodbye, no clean-up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(timeout=STARTS_WITHIN)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _read(value: Any, record: Any) -> Any:
    if record is None or value is None:
        return value
    if not hasattr(record, "from_json"):
        return [record(**one) for one in value]
    return [record.from_json(one) for one in value] if isinstance(value, list) else record.from_json(value)
