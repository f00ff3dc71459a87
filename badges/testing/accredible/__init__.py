"""
A stand-in for Accredible: a real HTTP server that behaves as Accredible's documentation says.

In this process, ``with AccredibleStandIn() as accredible:``; as a process of its own,
``python -m badges.testing.accredible`` (``AccredibleProcess`` starts, kills and restarts it, ``RemoteAccredible``
reaches one that runs). Configure the client with ``accredible.url`` and ``accredible.key``.

*People at Accredible*: ``add_group``, ``change_group``, ``delete_group``, ``expire_credential``,
``publish_credential``, ``delete_credential``, ``add_organization``, ``set_credits``. What happens to credentials is an
event; with ``set_webhook(url)`` it is posted there.

*What goes wrong*: ``refuse``, ``throttle``, ``break_down``, ``drop``, ``slow_down``, ``answer``, ``link_elsewhere``;
all of it for one kind of endpoint (``on="issue"``) or for all, a number of ``times`` or until ``recover()``.

*The observations*: ``credentials``, ``calls``, ``counts``, ``groups``, ``organizations``, ``events``,
``deliveries``. They only tell what happened; a test asserts.
"""

from badges.testing.accredible.failures import ENDPOINTS
from badges.testing.accredible.provider import KEY
from badges.testing.accredible.records import Call, Credential, Delivery, Event, Group, Organization
from badges.testing.accredible.remote import AccredibleProcess, RemoteAccredible
from badges.testing.accredible.standin import AccredibleStandIn

__all__ = [
    "ENDPOINTS",
    "KEY",
    "AccredibleProcess",
    "AccredibleStandIn",
    "Call",
    "Credential",
    "Delivery",
    "Event",
    "Group",
    "Organization",
    "RemoteAccredible",
]
