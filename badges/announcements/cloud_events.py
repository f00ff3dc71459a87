"""
Events for other services, as JSON CloudEvents on Kafka or Redis: a learner was given a badge, or lost it; an account
was registered here.

The outbox channel ``cloud-events``. A row is written in the transaction of what happened, if
``LMS_BADGES_CONFIG["cloud_events"]["publish"]`` names its event type. The topic is the event type. The key is the
account id, which is the learner's UUID, so the events of one learner are on one partition of Kafka, in their order. A
stream of Redis has one order.

The id of an event is that of its outbox row, the same at every attempt. An event may arrive twice, when the broker took
it and the answer was lost, or when a worker was killed; it is never left out. While the broker does not take an event,
its row waits and loses no attempt, and the later events of this learner wait behind it.

The form is the structured mode of the Kafka protocol binding for CloudEvents 1.0. Redis has no binding: the headers are
fields of the entry, and the value is the field ``event_data``.
"""

from __future__ import annotations

from typing import Any

from badges.announcements import bus
from badges.announcements.messages import credential_of, time_of
from badges.conf import config
from badges.exceptions import Permanent, Retryable, Waiting
from badges.outbox.models import OutboxMessage
from badges.rules import canonical_time, to_text

CHANNEL = "cloud-events"
ASSIGNED = "stickers.stickerAssignedToUser.v1"
REMOVED = "stickers.stickerRemovedFromUser.v1"
REGISTERED = "users.userRegistered.v1"
# The event types about a badge, and the field of their data that holds the time.
TIME_FIELDS = {ASSIGNED: "assignedAt", REMOVED: "removedAt"}
PUBLISHED = (*TIME_FIELDS, REGISTERED)

# How long a row waits when the error is not one of the broker: the host has no settings for its bus, or no client.
PAUSE_SECONDS = 60.0

HEADERS = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def is_published(event_type: str) -> bool:
    """Return whether this host wants events of a type to be published."""
    wanted = config.cloud_events["publish"]
    return isinstance(wanted, (list, tuple)) and event_type in wanted


class CloudEventsChannel:
    """The outbox channel ``cloud-events``: publishes an event, and returns once the broker has it."""

    def __call__(self, message: OutboxMessage) -> None:
        event = event_of(message)
        try:
            bus.send_json(message.type, key=event["data"]["accountId"], content=to_text(event), headers=HEADERS)
        except Retryable as error:
            # However long it lasts: a row that was given up would be a gap, and the next one would overtake it.
            pause = config.delivery["base_delay"] if error.circuit else PAUSE_SECONDS
            raise Waiting(str(error), retry_after=pause, circuit=error.circuit) from error

    def circuit(self, message: OutboxMessage) -> str | None:
        """Return the circuit of the topic. A topic that is missing does not delay those that are there."""
        return f"{'redis' if bus.is_redis() else 'kafka'}:{message.type}"


publish = CloudEventsChannel()


def event_of(message: OutboxMessage) -> dict[str, Any]:
    """Return the CloudEvent of an outbox message. Raises Permanent when there is none."""
    if message.type == REGISTERED:
        account_id, time, data = message.read()["account"], canonical_time(message.created_at), {}
    elif message.type in TIME_FIELDS:
        credential = credential_of(message)
        account_id = str(credential.learner.uuid)
        time = canonical_time(time_of(message, credential, awarded=message.type == ASSIGNED))
        data = {"stickerId": credential.template.slug, TIME_FIELDS[message.type]: time}
    else:
        raise Permanent(
            f"No event is published as {message.type!r}, only {', '.join(PUBLISHED)}. Bring the workers up to date, "
            "then retry; or remove the row."
        )
    return {
        "specversion": "1.0",
        "id": str(message.id),
        "source": config.cloud_events["source"],
        "type": message.type,
        "subject": account_id,
        "time": time,
        "datacontenttype": "application/json",
        "data": {"accountId": account_id, **data},
    }
