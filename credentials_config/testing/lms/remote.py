"""Controls a stand-in LMS in another process over HTTP, with the same methods and records."""

from __future__ import annotations

from typing import Any

from badges.testing.standin import Remote, StandInProcess
from credentials_config.testing.lms.api import client_settings
from credentials_config.testing.lms.standin import OBSERVATIONS, VERBS


class RemoteLms(Remote):
    """The methods and records of the stand-in at ``url``."""

    verbs, observations = VERBS, OBSERVATIONS

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a client, as ``CREDENTIALS_CONFIG["lms"]`` holds them."""
        return client_settings(self.url)


class LmsProcess(StandInProcess, RemoteLms):
    """A stand-in in a process of its own. Its data is gone when it ends."""

    module = "credentials_config.testing.lms"
