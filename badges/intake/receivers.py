"""
Receivers of public signals: those that ``consume_events`` of the event bus sends, and those of the host's own code.

A receiver only writes the event to the inbox; ``process_pending`` decides it. ``consume_events`` acknowledges a message
even if a receiver raised an error. So when an event from the bus cannot be written, the receiver tries for a limited
time and then ends the process: nothing is acknowledged, and the event comes again. An event that was sent in this
process never ends it and raises no error in its sender. If it cannot be written, that is logged.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from openedx_events.data import EventsMetadata
from openedx_events.tooling import SIGNAL_PROCESSED_FROM_EVENT_BUS, OpenEdxPublicSignal

from badges.catalog import event_types
from badges.conf import config
from badges.database import is_unencodable, retry_transient
from badges.exceptions import EventError
from badges.intake import inbox
from badges.intake.events import Event, Unreadable, event_from_signal, stored_size, unreadable_id

log = logging.getLogger(__name__)

Receive = Callable[[Event], Any]
EX_TEMPFAIL = 75


def connect(receive: Receive) -> None:
    """
    Connect a receiver to every configured event type, unless ``LMS_BADGES_CONFIG["receivers"]`` is off.

    ``receive`` writes an event to the inbox. The events that this app announces are received only if their type is
    configured. Uses no database, and imports nothing of the event bus.
    """
    if not config.receivers:
        return
    for event_type in event_types.configured_signals():
        signal = event_types.find_signal(event_type)
        if signal is not None:
            signal.connect(_Receiver(receive), dispatch_uid=f"lms_badges:{event_type}", weak=False)


def disconnect() -> None:
    """Disconnect all receivers again."""
    for signal in OpenEdxPublicSignal.all_events():
        signal.disconnect(dispatch_uid=f"lms_badges:{signal.event_type}")


class _Receiver:
    """Writes the event of a signal to the inbox."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def __call__(self, signal: OpenEdxPublicSignal, metadata: EventsMetadata, **kwargs: Any) -> None:
        if kwargs.pop(SIGNAL_PROCESSED_FROM_EVENT_BUS, False):
            self._store_or_exit(signal, metadata, kwargs)
        else:
            self._store_or_log(signal, metadata, kwargs)

    def _store(
        self, signal: OpenEdxPublicSignal, metadata: EventsMetadata, kwargs: dict[str, Any], received_from: str
    ) -> None:
        try:
            event = event_from_signal(signal, metadata, kwargs, received_from=received_from)
            stored_size(event, config.intake["event_bytes"], config.intake["event_bytes"])
            self._receive(event)
        except EventError as error:
            _dead_letter(signal, metadata, str(error), received_from)
        except DatabaseError as error:
            if not is_unencodable(error):
                raise
            _dead_letter(signal, metadata, inbox.UNENCODABLE, received_from)

    def _store_or_log(self, signal: OpenEdxPublicSignal, metadata: EventsMetadata, kwargs: dict[str, Any]) -> None:
        """Store an event of this process. With DEBUG on, an error would reach the sender and stop other receivers."""
        try:
            self._store(signal, metadata, kwargs, "signal")
        except Exception:  # an error must not reach the sender
            log.exception("Event %s (%s) could not be stored and is lost to badges.", metadata.id, signal.event_type)

    def _store_or_exit(self, signal: OpenEdxPublicSignal, metadata: EventsMetadata, kwargs: dict[str, Any]) -> None:
        """Store an event of the bus; when that cannot be done, end the process before it is acknowledged."""
        try:
            retry_transient(lambda: self._store(signal, metadata, kwargs, "bus"))
        except Exception:  # if any error left this function, the event would be acknowledged and lost
            log.critical(
                "Event %s (%s) from the bus could not be stored; this process ends so that the event is not "
                "acknowledged and comes again.",
                metadata.id,
                signal.event_type,
                exc_info=True,
            )
            exit_process()
        _close_connection()


def _close_connection() -> None:
    """
    Close our connection to the database once an event of the bus is stored.

    Before each message the bus's consumer renews open connections. When that fails, it acknowledges the message without
    having sent the signal. With no open connection the signal is sent, and the receiver waits for the database.
    """
    if not connection.in_atomic_block:
        connection.close()


def exit_process() -> None:
    """End the process at once. On ``SystemExit`` the bus's Redis consumer would still acknowledge the message."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EX_TEMPFAIL)


def _dead_letter(signal: OpenEdxPublicSignal, metadata: EventsMetadata, reason: str, received_from: str) -> None:
    log.warning("Dead letter from %s %s: %s", received_from, metadata.id, reason)
    unreadable = Unreadable(
        id=unreadable_id(received_from, str(metadata.source), str(metadata.id)),
        reason=reason,
        received_from=received_from,
        type=signal.event_type,
    )
    with transaction.atomic():
        inbox.write([inbox.dead_row_of(unreadable, now=timezone.now())])
