"""
``/_control``: the verbs and observations over HTTP, for a stand-in that runs as a process of its own.

Without any key: the stand-in listens on loopback only, and everything in it is made up.
"""

from __future__ import annotations

import inspect
from typing import Any

from badges.testing.standin.messages import Refused, Reply, Request

PREFIX = "/_control"


class ControlApi:
    """Calls the method that the address names."""

    def __init__(self, standin: Any) -> None:
        self._standin = standin

    def answer(self, request: Request) -> Reply:
        """Answer with what the method returned, or with why it could not be called."""
        name = request.path.removeprefix(PREFIX).strip("/")
        try:
            if request.refused:
                raise request.refused
            if request.method == "GET" and name in self._standin.observations:
                return _reply(getattr(self._standin, name))
            if request.method == "POST" and name in self._standin.verbs:
                return self._do(name, request.json())
            known = f"Read {sorted(self._standin.observations)}, post {sorted(self._standin.verbs)}."
            raise Refused(404, f"{request.method} {name}: unknown. {known}")
        except Refused as refused:
            return Reply(refused.status, {"message": refused.message}, {"Content-Type": "application/json"})

    def _do(self, name: str, arguments: dict[str, Any]) -> Reply:
        method = getattr(self._standin, name)
        try:
            inspect.signature(method).bind(**arguments)
            if name == "refuse":
                return self._refuse(**arguments)
            return _reply(method(**arguments))
        except (TypeError, ValueError) as problem:
            raise Refused(422, f"{name}: {problem}") from problem

    def _refuse(self, *, seconds: float | None = None) -> Reply:
        if not isinstance(seconds, int | float):
            raise ValueError("say for how many seconds; nobody could reach the stand-in to open it again.")
        reply = _reply(None)
        reply.afterwards = lambda: self._standin.refuse(seconds=seconds)
        return reply


def _reply(value: Any) -> Reply:
    if isinstance(value, list):
        value = [one.to_json() for one in value]
    elif hasattr(value, "to_json"):
        value = value.to_json()
    return Reply(200, {"result": value}, {"Content-Type": "application/json"})
