"""The stand-in LMS in this process: ``with LmsStandIn() as lms: … lms.url``."""

from __future__ import annotations

from typing import Any

from badges.testing.standin import FAILURE_VERBS, StandIn
from credentials_config.testing.lms.api import CLIENT_ID, CLIENT_SECRET, Api, client_settings
from credentials_config.testing.lms.data import Call, Course, Learner, LmsData, Path, Subsection
from credentials_config.testing.lms.failures import Failure

# The names that both interfaces (Python and ``/_control``) have, and the type that each returns (``None``: plain JSON).
OBSERVATIONS: dict[str, type | None] = {"calls": Call, "counts": None, "asked": None, "failures": Failure}
VERBS: dict[str, type | None] = {
    "add_course": Course,
    "change_course": Course,
    "add_subsection": Subsection,
    "add_path": Path,
    "add_learner": Learner,
    "change_learner": Learner,
    "enroll": None,
    "unenroll": None,
    "enroll_many": None,
    "score": None,
    "complete": None,
    "empty": None,
    "garble_grades": None,
    "garble_completion": None,
    "load": None,
    "clear_calls": None,
    "expire_tokens": None,
    **FAILURE_VERBS,
}


class LmsStandIn(StandIn, LmsData):
    """
    An LMS that listens on the loopback interface. It holds the data that it was given, and fails when it is told to.

    ``page_size`` is the largest number of entries on a page. ``settings`` are those for ``CREDENTIALS_CONFIG["lms"]``.
    """

    verbs, observations, failure = VERBS, OBSERVATIONS, Failure
    throttled = "Request was throttled.\n"
    broken = "<html><body><h1>Studio is down for maintenance.</h1></body></html>"

    _api: Api

    def __init__(self, *, port: int = 0, page_size: int = 100) -> None:
        super().__init__(port=port)
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self._api = Api(self, self._failures, lambda: self.url, page_size=page_size)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a client, as ``CREDENTIALS_CONFIG["lms"]`` holds them."""
        return client_settings(self.url)

    # The record of calls

    @property
    def calls(self) -> list[Call]:
        """All requests, oldest first."""
        return list(self._api.calls)

    @property
    def counts(self) -> dict[str, int]:
        """The number of calls by kind of endpoint."""
        return self._api.counts

    @property
    def asked(self) -> dict[str, list[str]]:
        """The learners (usernames or ids, as they were sent) that each kind of endpoint was asked about, sorted."""
        asked: dict[str, set[str]] = {}
        for call in self.calls:
            if call.about:
                asked.setdefault(call.endpoint, set()).update(call.about)
        return {endpoint: sorted(about) for endpoint, about in sorted(asked.items())}

    def clear_calls(self) -> None:
        """Clear the record of calls."""
        self._api.clear_calls()

    def expire_tokens(self) -> None:
        """Make all access tokens expire."""
        self._api.expire_tokens()
