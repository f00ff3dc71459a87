"""Data for any public signal: every field filled with a value of its declared type, no two alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args, get_origin
from uuid import UUID

import attrs
from ccx_keys.locator import CCXLocator
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer, serialize_event_data_to_bytes
from openedx_events.learning.data import UserData
from openedx_events.tooling import OpenEdxPublicSignal

from badges.catalog import event_types
from badges.rules import Shape

TEXTS = ("Ada", "فاطمة الفهري", "祖冲之", 'a "quoted" \\ name', "tab\there", "emoji 🎓", "")
# Distinct offsets and fractions: they must be stored in the same form, wherever the event came in.
TIMES = (
    datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    datetime(2026, 3, 1, 9, 30, 0, 120000, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(-timedelta(hours=3))),
)


def signals_about_learners() -> list[OpenEdxPublicSignal]:
    """Return every signal of openedx-events that carries a UserData."""
    event_types.load_signals()
    return [
        signal
        for signal in sorted(OpenEdxPublicSignal.all_events(), key=lambda signal: signal.event_type)
        if type(signal).__module__ == OpenEdxPublicSignal.__module__
        and signal.event_type.startswith("org.openedx.learning.")
        and event_types.define(signal).user_paths
    ]


def is_serialisable(signal: OpenEdxPublicSignal) -> bool:
    """Whether the bus can carry it."""
    try:
        AvroSignalSerializer(signal)
    except Exception:
        return False
    return True


def data_of(signal: OpenEdxPublicSignal, *, bare: bool = False) -> dict[str, Any]:
    """Make the arguments of a signal. ``bare`` leaves out every field that may be left out on the bus."""
    numbers = itertools.count(1)
    return {name: _make(given, numbers, bare) for name, given in signal.init_data.items()}


def on_the_wire(signal: OpenEdxPublicSignal, data: dict[str, Any], *, schema_id: int = 1) -> bytes:
    """Write data as the bus does: a zero byte, the schema's id, and what openedx-events' own serialiser gives."""
    return b"\0" + schema_id.to_bytes(4, "big") + serialize_event_data_to_bytes(data, signal)


def without_pii(data: Any) -> Any:
    """Return data without personal data of any user."""
    if isinstance(data, dict):
        return {name: without_pii(value) for name, value in data.items()}
    if isinstance(data, UserData):
        return attrs.evolve(data, pii=None)
    if not attrs.has(type(data)):
        return data
    return attrs.evolve(data, **{one.name: without_pii(getattr(data, one.name)) for one in attrs.fields(type(data))})


def holds_nullable(shape: Shape) -> bool:
    """Whether anything in a shape may be missing."""
    return shape.nullable or any(holds_nullable(child) for child in shape.fields.values())


def _make(given: Any, numbers: Iterator[int], bare: bool) -> Any:
    given = (
        next((option for option in get_args(given) if option is not type(None)), given) if _is_union(given) else given
    )
    origin = get_origin(given) or given
    if attrs.has(origin):
        return origin(**{one.name: _field(one, numbers, bare) for one in attrs.fields(origin)})
    if origin is list:
        return [_make(option, numbers, bare) for option in get_args(given)[:1] * 2]
    if origin is dict:
        return {f"key {next(numbers)}": _make(option, numbers, bare) for option in get_args(given)[1:] * 2}
    return _scalar(origin, next(numbers))


def _field(attribute: Any, numbers: Iterator[int], bare: bool) -> Any:
    if bare and attribute.default is None:
        return None
    return _make(attribute.type, numbers, bare)


def _scalar(kind: Any, number: int) -> Any:
    for known, value in (
        (bool, number % 2 == 0),
        (int, number * 1000),
        (float, number + (0.5 if number % 2 else 0)),  # every other one is whole: 4.0 from Avro is 4 from JSON
        (str, f"{TEXTS[number % len(TEXTS)]} {number}"),
        (datetime, TIMES[number % len(TIMES)] + timedelta(days=number)),
        (UUID, UUID(int=number)),
        (CCXLocator, CCXLocator.from_string(f"ccx-v1:Org+Course{number}+Run+ccx@{number}")),
        (UsageKey, UsageKey.from_string(f"block-v1:Org+Course{number}+Run+type@problem+block@{number}")),
        (CourseKey, CourseKey.from_string(f"course-v1:Org+Course{number}+Run")),
    ):
        if isinstance(kind, type) and issubclass(kind, known):
            return value
    raise NotImplementedError(f"no sample for {kind}")


def _is_union(given: Any) -> bool:
    return type(None) in get_args(given)
