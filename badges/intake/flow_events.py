"""
Events of other services about accounts: a sticker was claimed, a certification completed, an account registered.

They are no learning events: rules do not see them, and they are not in the event log. Each is a row of the inbox with a
kind of its own, which a handler in ``badges.flows`` handles. They come in wherever JSON events do: topics of Kafka or
Redis, files, the REST API. In these events a badge template is a *sticker*, and ``accountId`` is the UUID of a learner,
or the id of an account at the system that ``LMS_BADGES_CONFIG["flows"]["account_issuer"]`` names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.crypto import salted_hmac

from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import ExternalIdentity
from badges.database import retry_transient
from badges.exceptions import EventError
from badges.intake import inbox
from badges.intake.events import ID_LENGTH, Event, Identity, canonical_id, event_from_envelope, load_envelope, type_of
from badges.intake.models import InboxMessage, InboxState, Learner
from badges.rules import Kind, Shape, ShapeError, to_text

CLAIMED = "users.stickerClaimed.v1"
COMPLETED = "certifications.certificationCompleted.v1"
REGISTERED = "users.userRegistered.v1"

# The issuer under which digests of account ids are kept in the inbox. No row of learner identities has it.
_ACCOUNT = "account"

_BARE_SALT = "badges.intake.flow_events"
_BARE_PREFIX = "hmac-sha256:"

GONE = "The stored event of this row is gone or was changed. Let its sender send it again, and remove the row."


@dataclass(frozen=True)
class FlowEventType:
    """One of these event types: its name, the kind of its inbox rows, and the shape of its data."""

    type: str
    kind: str
    shape: Shape

    def canonical(self, data: Any, where: str) -> Any:
        """
        Return an event's data in its one canonical form. Unknown fields are dropped.

        ``where`` is put before paths in errors. Raises ShapeError.
        """
        found = self.shape.canonical(data, where)
        return {name: _identifier(value, f"{where}.{name}") for name, value in found.items()}


def _identifier(value: str, where: str) -> str:
    """Return a text that can identify something: an id in lower case if it is a UUID. Raises ShapeError."""
    if not value.strip() or not value.isprintable() or len(value) > ID_LENGTH:
        raise ShapeError(where, f"expected 1 to {ID_LENGTH} printable characters")
    return canonical_id(value)


def _type(name: str, kind: str, **fields: Kind) -> FlowEventType:
    return FlowEventType(name, kind, Shape(Kind.OBJECT, {field: Shape(kind_) for field, kind_ in fields.items()}))


TYPES: Mapping[str, FlowEventType] = {
    each.type: each
    for each in (
        _type(CLAIMED, "sticker-claim", accountId=Kind.TEXT, stickerId=Kind.TEXT),
        _type(COMPLETED, "certification", accountId=Kind.TEXT, certificationId=Kind.TEXT, completedAt=Kind.TIME),
        _type(REGISTERED, "registration", accountId=Kind.TEXT),
    )
}
KINDS = frozenset(each.kind for each in TYPES.values())


def find(event_type: str) -> FlowEventType | None:
    """Return one of these event types by its name; None when it is none of them."""
    return TYPES.get(event_type)


def envelope_of_bare(event_type: str, data: Any, *, bus: str = "kafka") -> dict[str, Any]:
    """
    Return the envelope of an event that came without one: a message of a ``bus`` whose value is the data alone.

    Its id is a keyed digest of the data, so the same data is the same event, and the id tells nothing of the account.
    A completion that comes again is handled again (``requeue``), which gives only what was not given before.
    After SECRET_KEY was changed, the same data is another event; the handlers do nothing twice. Raises EventError when
    it is not such data.
    """
    canonical = TYPES[event_type].canonical(data, "the value")
    digest = salted_hmac(_BARE_SALT, to_text(canonical), algorithm="sha256").hexdigest()
    return {"id": f"{_BARE_PREFIX}{digest}", "source": f"{bus}/{event_type}", "type": event_type, "data": canonical}


# --- rows of the inbox -----------------------------------------------------------------------------------------------


def row_of(event: Event, *, now: dt.datetime) -> InboxMessage:
    """Return the unsaved, pending row of an event."""
    row = inbox.row_of(event, state=InboxState.PENDING, due_at=now, now=now, person=_person(event.data["accountId"]))
    row.kind = TYPES[event.type].kind
    return row


def event_of(row: InboxMessage) -> Event:
    """Return the event of a row. Raises EventError when it cannot be read, or the row does not hold it any more."""
    if row.payload is None:
        raise EventError(GONE)
    envelope = load_envelope(row.payload)
    definition = find(type_of(envelope))
    if definition is None:
        raise EventError(GONE)
    return event_from_envelope(definition, envelope, received_from=row.received_from)


def takes_over(row: InboxMessage) -> bool:
    """
    Return whether a claimed row holds one of these events that could not be read when it arrived.

    An operator tries such a dead letter again. It then gets the kind of its handler, in memory. If it can be read now,
    the kind and the person are also written to the row: it may have to wait for the account, and a retirement must find
    it. One statement, or none.
    """
    if row.source or row.payload is None:
        return False
    try:
        envelope = load_envelope(row.payload)
        definition = find(type_of(envelope))
    except EventError:
        return False
    if definition is None:
        return False
    row.kind = definition.kind
    with suppress(EventError):  # the handler tells why
        event = event_from_envelope(definition, envelope, received_from=row.received_from)
        person = _person(event.data["accountId"])
        retry_transient(lambda: inbox.note_person(row, kind=row.kind, person=person))
    return True


def requeue(events: Iterable[Event], *, now: dt.datetime) -> int:
    """
    Let events be handled again that have come again; return how many.

    Those are dead letters, because what was missing, such as the account, may be there now. And completions that came
    as data alone, whose sender has no new id to give: a mapping may be there now. At most two statements.
    """
    bare: dict[Identity, Event] = {}
    by_source: dict[str, list[str]] = {}
    for event in events:
        if event.type == COMPLETED and event.id.startswith(_BARE_PREFIX):
            bare[event.identity] = event
        else:
            by_source.setdefault(event.source, []).append(event.id)
    again = Q()
    for source, ids in by_source.items():
        again |= Q(source=source, event_id__in=ids)
    requeued = inbox.requeue(InboxMessage.objects.filter(again, kind__in=KINDS), now=now) if again else 0
    return requeued + inbox.write_again([row_of(event, now=now) for event in bare.values()])


def account_names(learner_id: int | None, names: Sequence[str | ExternalIdentity]) -> list[ExternalIdentity]:
    """
    Return how rows of these events name a person, for the search by digest; at most one statement.

    ``names`` are the other names of the person; each id at another system may be an account id.
    """
    subjects = [name.subject for name in names if isinstance(name, ExternalIdentity)]
    uuids = [] if learner_id is None else Learner.objects.filter(pk=learner_id).values_list("uuid", flat=True)
    found = []
    for text in [*subjects, *map(str, uuids)]:
        # An id that no event can have, such as one with a no-break space, is in no row.
        with suppress(EventError):
            found.append(ExternalIdentity(_ACCOUNT, canonical_id(text)))
    return found


def _person(account_id: str) -> LearnerData:
    return LearnerData(None, True, None, None, None, ExternalIdentity(_ACCOUNT, account_id))
