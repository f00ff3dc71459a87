"""
A stand-in in another process: ``Remote`` is its remote control, ``StandInProcess`` also starts, kills and restarts it.

Both know the verbs and observations of the stand-in by the same names; arguments are given by keyword.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from badges.testing.standin.control_api import PREFIX

ENDS_WITHIN = 30.0


class Remote:
    """The verbs and observations of the stand-in at ``url``, over HTTP."""

    verbs: ClassVar[Mapping[str, Any]]
    observations: ClassVar[Mapping[str, Any]]

    def __init__(self, url: str) -> None:
        self.url = url

    def __getattr__(self, name: str) -> Any:
        if name in self.observations:
            return _read(self._ask("GET", name), self.observations[name])
        if name in self.verbs:
            return self._verb(name)
        raise AttributeError(f"{name!r} is neither an observation nor a verb of the stand-in")

    def _verb(self, name: str) -> Callable[..., Any]:
        def do(**arguments: Any) -> Any:
            return _read(self._ask("POST", name, arguments), self.verbs[name])

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


class StandInProcess(Remote):
    """
    A stand-in that can be killed: ``python -m module``, with options.

    It takes the same port again after the first start. It ends with the process that started it, however that ends.
    """

    module: ClassVar[str]

    def __init__(self, *options: str, port: int = 0) -> None:
        super().__init__("")
        self._port = port
        self._options = options
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start the process and wait for its address."""
        command = [sys.executable, "-m", self.module, "--until-stdin-closes", "--port", str(self._port)]
        self.process = subprocess.Popen(  # noqa: S603, our own module
            [*command, *self._options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.stop()
            raise RuntimeError(f"{self.module} did not start; its own message is above.")
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
    read = getattr(record, "from_json", lambda one: record(**one))
    return [read(one) for one in value] if isinstance(value, list) else read(value)
