"""
A stand-in in another process: ``RemoteAccredible`` is its remote control, ``AccredibleProcess`` also starts, kills and
restarts it.

Both know the verbs and observations of ``AccredibleStandIn`` by the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from badges.testing.accredible.controls import OBSERVATIONS, VERBS
from badges.testing.accredible.provider import KEY
from badges.testing.standin import Remote, StandInProcess


class RemoteAccredible(Remote):
    """The verbs and observations of the stand-in at ``url``, over HTTP."""

    verbs, observations = VERBS, OBSERVATIONS


class AccredibleProcess(StandInProcess, RemoteAccredible):
    """A stand-in that can be killed: ``with AccredibleProcess(state=path) as accredible: … accredible.kill()``."""

    module = "badges.testing.accredible"

    def __init__(
        self, *, state: str | Path | None = None, port: int = 0, key: str = KEY, options: Sequence[str] = ()
    ) -> None:
        kept = [] if state is None else ["--state", str(state)]
        super().__init__("--key", key, *options, *kept, port=port)
        self.key = key
