"""
A stand-in in another process: ``RemoteCredly`` is its remote control, ``CredlyProcess`` also starts, kills and
restarts it.

Both know the verbs and observations of ``CredlyStandIn`` by the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from badges.testing.credly.controls import OBSERVATIONS, VERBS
from badges.testing.credly.provider import ORGANIZATION, TOKEN
from badges.testing.standin import Remote, StandInProcess


class RemoteCredly(Remote):
    """The verbs and observations of the stand-in at ``url``, over HTTP."""

    verbs, observations = VERBS, OBSERVATIONS


class CredlyProcess(StandInProcess, RemoteCredly):
    """A stand-in that can be killed: ``with CredlyProcess(state=path) as credly: … credly.kill(); credly.start()``."""

    module = "badges.testing.credly"

    def __init__(
        self,
        *,
        state: str | Path | None = None,
        port: int = 0,
        organization: str = ORGANIZATION,
        token: str = TOKEN,
        options: Sequence[str] = (),
    ) -> None:
        kept = [] if state is None else ["--state", str(state)]
        super().__init__("--organization", organization, "--token", token, *options, *kept, port=port)
        self.organization, self.token = organization, token
