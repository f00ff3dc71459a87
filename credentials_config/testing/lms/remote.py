"""Steering a stand-in LMS that is a process of its own, over HTTP, with the same verbs and witnesses."""

from __future__ import annotations

from typing import Any

from badges.testing.standin import Remote, StandInProcess
from credentials_config.testing.lms.api import client_settings
from credentials_config.testing.lms.standin import VERBS, WITNESSES


class RemoteLms(Remote):
    """The verbs and witnesses of the stand-in at ``url``."""

    verbs, witnesses = VERBS, WITNESSES

    @property
    def settings(self) -> dict[str, Any]:
        """What a client is configured with, in ``CREDENTIALS_CONFIG["lms"]``."""
        return client_settings(self.url)


class LmsProcess(StandInProcess, RemoteLms):
    """A stand-in in a process of its own, which forgets everything when it ends."""

    module = "credentials_config.testing.lms"
