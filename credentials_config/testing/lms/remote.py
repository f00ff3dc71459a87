"""Steering a stand-in LMS that is a process of its own, over HTTP, with the same verbs and witnesses."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from credentials_config.testing.lms.api import CLIENT_ID, CLIENT_SECRET
from credentials_config.testing.lms.standin import CONTROL, VERBS, WITNESSES

ENDS_WITHIN = 30.0


class RemoteLms:
    """The verbs and witnesses of the stand-in at ``url``; arguments are given by keyword."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def settings(self) -> dict[str, Any]:
        """What a client is configured with, in ``CREDENTIALS_CONFIG["lms"]``."""
        return {"transport": "http", "url": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

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
            connection.request(method, f"{CONTROL}/{name}", None if arguments is None else json.dumps(arguments))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer["message"])
        return answer["result"]


class LmsProcess(RemoteLms):
    """A stand-in in a process of its own, which ends with the process that started it, however that ends."""

    def __init__(self, *options: str, port: int = 0) -> None:
        super().__init__("")
        self._port = port
        self._options: Sequence[str] = options
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start the process and wait for its address; after the first start it takes the same port again."""
        command = [sys.executable, "-m", "credentials_config.testing.lms", "--until-stdin-closes"]
        self.process = subprocess.Popen(  # noqa: S603, our own module
            [*command, "--port", str(self._port), *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.stop()
            raise RuntimeError("The stand-in LMS did not start; its own message is above.")
        self._port = urlsplit(self.url).port or 0
        return self

    def kill(self) -> None:
        """SIGKILL: no goodbye, and everything it knew is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(timeout=ENDS_WITHIN)
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
    return [record(**one) for one in value] if isinstance(value, list) else record(**value)
