"""
The door for signals: those that the stock ``consume_events`` sends, and those of the host's own code.

A receiver only writes the event down; ``process_pending`` decides it. The stock consumer acknowledges a message whether
or not its receivers failed, so an event that cannot be written must not come back from here as an error: the receiver
tries for a bounded time and then ends the process, so that nothing is acknowledged. That happens for events from the
bus only. A sender in this process is never disturbed: what cannot be written down then is logged.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from openedx_events.tooling import SIGNAL_PROCESSED_FROM_EVENT_BUS, OpenEdxPublicSignal

from badges.catalog import event_types
from badges.conf import config
from badges.database import is_unencodable, retry_transient
from badges.exceptions import EventError
from badges.intake import inbox, payloads
from badges.intake.events import Event, Unreadable

log = logging.getLogger(__name__)

Receive = Callable[[Event], Any]
EX_TEMPFAIL = 75


def connect(receive: Receive) -> None:
    """
    Connect a receiver to every configured event type, unless ``BADGES_CONFIG["receivers"]`` is off.

    ``receive`` writes an event down. Our own announcements are received only where their type is configured. Needs no
    database, and imports nothing of the event bus.
    """
    if not config.receivers:
        return
    for event_type in event_types.configured():
        signal = event_types.find_signal(event_type)
        if signal is not None:
            signal.connect(_Receiver(receive), dispatch_uid=f"lms_badges:{event_type}", weak=False)


def disconnect() -> None:
    """Disconnect all receivers again."""
    for signal in OpenEdxPublicSignal.all_events():
        signal.disconnect(dispatch_uid=f"lms_badges:{signal.event_type}")


class _Receiver:
    """Writes down what a signal says."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def __call__(self, signal: OpenEdxPublicSignal, metadata: Any, **kwargs: Any) -> None:
        if kwargs.pop(SIGNAL_PROCESSED_FROM_EVENT_BUS, False):
            self._store_or_leave(signal, metadata, kwargs)
        else:
            self._store_or_log(signal, metadata, kwargs)

    def _store(self, signal: OpenEdxPublicSignal, metadata: Any, kwargs: dict[str, Any], source: str) -> None:
        try:
            event = payloads.from_signal(signal, metadata, kwargs, source=source)
            payloads.refuse_too_big(event, config.intake["event_bytes"], config.intake["event_bytes"])
            self._receive(event)
        except EventError as error:
            _dead_letter(signal, metadata, str(error), source)
        except DatabaseError as error:
            if not is_unencodable(error):
                raise
            _dead_letter(signal, metadata, inbox.UNENCODABLE, source)

    def _store_or_log(self, signal: OpenEdxPublicSignal, metadata: Any, kwargs: dict[str, Any]) -> None:
        """Store an event of this process. Under DEBUG an error would reach the sender and silence other receivers."""
        try:
            self._store(signal, metadata, kwargs, "signal")
        except Exception:  # the sender's work is not ours to break
            log.exception("Event %s (%s) could not be stored and is lost to badges.", metadata.id, signal.event_type)

    def _store_or_leave(self, signal: OpenEdxPublicSignal, metadata: Any, kwargs: dict[str, Any]) -> None:
        """Store an event of the bus; when that cannot be done, end the process before it is acknowledged."""
        try:
            retry_transient(lambda: self._store(signal, metadata, kwargs, "bus"))
        except Exception:  # whatever it is: if it leaves this function, the event is acknowledged and lost
            log.critical(
                "Event %s (%s) from the bus could not be stored; this process ends so that the event is not "
                "acknowledged and comes again.",
                metadata.id,
                signal.event_type,
                exc_info=True,
            )
            leave()
        _let_go_of_connection()


def _let_go_of_connection() -> None:
    """
    Close our connection to the database once an event of the bus is stored.

    Before each message the bus's consumer reconnects whatever it finds open; when that fails, it acknowledges the
    message without having sent it. With nothing open the message reaches us, and we wait for the database.
    """
    if not connection.in_atomic_block:
        connection.close()


def leave() -> None:
    """End the process at once. Not by ``SystemExit``: on its way out, the bus's Redis consumer still acknowledges."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EX_TEMPFAIL)


def _dead_letter(signal: OpenEdxPublicSignal, metadata: Any, reason: str, source: str) -> None:
    log.warning("Dead letter from %s %s: %s", source, metadata.id, reason)
    unreadable = Unreadable(
        id=f"{source} {metadata.id}",
        reason=reason,
        source=source,
        type=signal.event_type,
    )
    with transaction.atomic():
        inbox.write([inbox.dead_row_of(unreadable, now=timezone.now())])
