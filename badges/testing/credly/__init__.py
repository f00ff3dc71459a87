"""
A stand-in for Credly: a real HTTP server that behaves as Credly's documentation says.

In this process, ``with CredlyStandIn() as credly:``; as a process of its own, ``python -m badges.testing.credly``
(``CredlyProcess`` starts, kills and restarts it, ``RemoteCredly`` reaches one that runs). Configure the client with
``credly.url``, ``credly.organization`` and ``credly.token``.

*People at Credly*: ``add_template``, ``change_template``, ``archive_template``, ``delete_template``, ``accept_badge``,
``reject_badge``, ``revoke_badge``, ``replace_badge``, ``delete_badge``, ``set_badge_privacy``, ``add_organization``.
Each is an event; with ``set_webhook(url)`` it is posted there.

*What goes wrong*: ``refuse``, ``throttle``, ``break_down``, ``drop``, ``slow_down``, ``answer``, ``link_elsewhere``;
all of it for one kind of endpoint (``on="issue"``) or for all, a number of ``times`` or until ``recover()``.

*The observations*: ``badges``, ``calls``, ``counts``, ``events``, ``templates``, ``deliveries``. They only
tell what happened; a test asserts.
"""

from badges.testing.credly.failures import ENDPOINTS
from badges.testing.credly.provider import ORGANIZATION, TOKEN
from badges.testing.credly.records import Badge, Call, Delivery, Event, Organization, Template
from badges.testing.credly.remote import CredlyProcess, RemoteCredly
from badges.testing.credly.standin import CredlyStandIn

__all__ = [
    "ENDPOINTS",
    "ORGANIZATION",
    "TOKEN",
    "Badge",
    "Call",
    "CredlyProcess",
    "CredlyStandIn",
    "Delivery",
    "Event",
    "Organization",
    "RemoteCredly",
    "Template",
]
