"""The stand-in as a whole, in this process: ``with LmsStandIn() as lms: … lms.url``."""

from __future__ import annotations

from typing import Any

from badges.testing.standin import FAILURE_VERBS, StandIn
from credentials_config.testing.lms.api import CLIENT_ID, CLIENT_SECRET, Api, client_settings
from credentials_config.testing.lms.failures import Failure
from credentials_config.testing.lms.world import Call, Course, Learner, Path, Subsection, World

# The names that both doors (Python and ``/_control``) know, and the record each gives (``None``: a plain value).
WITNESSES: dict[str, type | None] = {"calls": Call, "counts": None, "asked": None, "failures": Failure}
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
    "garble_grades": None,
    "garble_completion": None,
    "load": None,
    "forget_calls": None,
    "expire_tokens": None,
    **FAILURE_VERBS,
}


class LmsStandIn(StandIn, World):
    """
    An LMS that listens on loopback, knows what it was told, and fails when told to.

    ``page_size`` is the most entries on a page of any list. ``settings`` is what ``CREDENTIALS_CONFIG["lms"]`` needs.
    """

    verbs, witnesses, failure = VERBS, WITNESSES, Failure
    throttled = "Request was throttled.\n"
    broken = "<html><body><h1>Studio is down for maintenance.</h1></body></html>"

    _api: Api

    def __init__(self, *, port: int = 0, page_size: int = 100) -> None:
        super().__init__(port=port)
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self._api = Api(self, self._failures, lambda: self.url, page_size=page_size)

    @property
    def settings(self) -> dict[str, Any]:
        """What a client is configured with, in ``CREDENTIALS_CONFIG["lms"]``."""
        return client_settings(self.url)

    # The witness

    @property
    def calls(self) -> list[Call]:
        """Every request, oldest first."""
        return list(self._api.calls)

    @property
    def counts(self) -> dict[str, int]:
        """How many calls each kind of endpoint got."""
        return self._api.counts

    @property
    def asked(self) -> dict[str, list[str]]:
        """About which learners each kind of endpoint was asked: usernames or ids as they were sent, sorted, once."""
        asked: dict[str, set[str]] = {}
        for call in self.calls:
            if call.about:
                asked.setdefault(call.endpoint, set()).update(call.about)
        return {endpoint: sorted(about) for endpoint, about in sorted(asked.items())}

    def forget_calls(self) -> None:
        """Start the witness anew."""
        self._api.forget_calls()

    def expire_tokens(self) -> None:
        """Let every token that was handed out be too old."""
        self._api.expire_tokens()
