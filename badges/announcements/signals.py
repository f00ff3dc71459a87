"""
The public signals: a learner was awarded a badge, or lost it.

The outbox channel ``announce``. The event is built from ids when it is delivered. So it says what is true then, and
holds nothing of a retired learner. Its metadata id is the outbox row's own, the same on every try: whoever receives it
twice can tell. It goes to the event bus first. Once the broker has confirmed it, it goes to this process's receivers,
marked as coming from the bus so that nobody publishes it again.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from openedx_events.data import EventsMetadata
from openedx_events.learning.data import BadgeData, BadgeTemplateData, UserData, UserPersonalData
from openedx_events.learning.signals import BADGE_AWARDED, BADGE_REVOKED
from openedx_events.tooling import OpenEdxPublicSignal

from badges.announcements import bus
from badges.announcements.messages import credential_of, credentials_of, time_of
from badges.awarding.models import UserCredential
from badges.common.person_names import full_name_of
from badges.exceptions import Permanent
from badges.intake.models import Learner
from badges.outbox.models import OutboxMessage
from badges.outbox.steps import InBatch, Steps

SIGNALS = {"badge.awarded": BADGE_AWARDED, "badge.revoked": BADGE_REVOKED}

# The badge is this platform's. At which providers it is issued too is a detail of delivery, and there may be several.
ORIGIN = "openedx"


# One for the whole bus: when the broker is down it is down for all topics.
CIRCUIT = "event-bus"


class AnnounceChannel:
    """The outbox channel ``announce``: tells everybody who listens."""

    def __call__(self, message: OutboxMessage) -> None:
        _announce(message, credential_of(message))

    def steps(self, message: OutboxMessage) -> Steps | None:
        """
        Return the delivery in steps, so that announcements share their statements.

        None with a bus: each waits for the broker, and when that is down, one is to find out.
        """
        return None if bus.is_configured() else _in_steps(message)

    def circuit(self, message: OutboxMessage) -> str | None:
        """Return the bus's circuit; without a bus nothing can be down."""
        return CIRCUIT if bus.is_configured() else None


announce = AnnounceChannel()


def _in_steps(message: OutboxMessage) -> Steps:
    credential = yield InBatch(credentials_of, message)
    _announce(message, credential)
    return None


def _announce(message: OutboxMessage, credential: UserCredential) -> None:
    signal = SIGNALS.get(message.type)
    if signal is None:
        raise Permanent(f"Nothing is announced as {message.type!r}, only {', '.join(SIGNALS)}. Remove the row.")
    metadata = EventsMetadata(
        event_type=signal.event_type,
        id=message.id,
        minorversion=signal.minor_version,
        time=time_of(message, credential, awarded=message.type == "badge.awarded").astimezone(dt.UTC),
    )
    data = {"badge": badge_data(credential)}
    for topic, key_field in _topics(signal):
        bus.publish(signal, topic=topic, event_key_field=key_field, data=data, metadata=metadata)
    signal.send_event_with_custom_metadata(metadata, **data)


def badge_data(credential: UserCredential) -> BadgeData:
    """Return the data of the public signals for a credential."""
    template = credential.template
    return BadgeData(
        uuid=str(credential.pk),
        user=_user_data(credential.learner),
        template=BadgeTemplateData(
            uuid=str(template.uuid),
            origin=ORIGIN,
            name=template.name,
            description=template.description,
            image_url=template.shown_image_url,
        ),
    )


def _user_data(learner: Learner) -> UserData:
    """
    Return who the learner is, as far as that is known.

    A learner without an account here has no names, and one whom the LMS does not know has the id 0: the event's schema
    allows neither to be missing.
    """
    user = learner.user
    return UserData(
        id=learner.lms_user_id or 0,
        is_active=bool(user and user.is_active),
        pii=UserPersonalData(
            username=user.get_username() if user else "",
            email=(user.email or "") if user else "",
            name=full_name_of(user) if user else "",
        ),
    )


def _topics(signal: OpenEdxPublicSignal) -> list[tuple[str, str]]:
    """Return the topics that the host wants this signal on, with the key field of each."""
    configured: dict[str, Any] = getattr(settings, "EVENT_BUS_PRODUCER_CONFIG", None) or {}
    topics = configured.get(signal.event_type, {}).items()
    return [(topic, entry["event_key_field"]) for topic, entry in topics if entry.get("enabled") is True]
