"""
What every stand-in for somebody else's service is made of.

``StandIn`` listens, fails when told to, and is steered over HTTP too; ``StandInProcess`` and ``Remote`` are its remote
controls. Which endpoints there are, and what is answered, is the matter of each stand-in's own folder.
"""

from badges.testing.standin.controls import FAILURE_VERBS, StandIn
from badges.testing.standin.failures import ALL, Failure, Failures
from badges.testing.standin.messages import Refused, Reply, Request
from badges.testing.standin.records import Call, Delivery, Record
from badges.testing.standin.remote import Remote, StandInProcess
from badges.testing.standin.store import Store
from badges.testing.standin.webhooks import Webhooks

__all__ = [
    "ALL",
    "FAILURE_VERBS",
    "Call",
    "Delivery",
    "Failure",
    "Failures",
    "Record",
    "Refused",
    "Remote",
    "Reply",
    "Request",
    "StandIn",
    "StandInProcess",
    "Store",
    "Webhooks",
]
