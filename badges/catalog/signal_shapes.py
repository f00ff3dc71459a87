"""
Shapes of public signals: the structure of an event type's data, derived from the attrs classes of its signal.

The mapping is the one that openedx-events uses for Avro, so that events have the same data from every source. Opaque
keys and UUIDs are text, datetimes are times, and ``default=None`` means nullable. Two things are more lenient here:

- A field with a default may be missing, because files and old producers leave it out.
- Some signals cannot be serialized by openedx-events (``KNOWN_UNSERIALIZABLE_SIGNALS``), so no bus has checked their
  types. Their fields may be empty, and ids of forum threads may have any type.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import types
import typing
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args, get_origin

import attrs
from opaque_keys import OpaqueKey
from openedx_events.learning.data import (
    CcxCourseData,
    CertificateData,
    DiscussionThreadData,
    LtiProviderLaunchParamsData,
    ORASubmissionData,
    PersistentCourseGradeData,
    UserData,
    UserPersonalData,
    VerificationAttemptData,
)
from openedx_events.tooling import KNOWN_UNSERIALIZABLE_SIGNALS, OpenEdxPublicSignal

from badges.rules import Kind, Shape, join_path

_KINDS: tuple[tuple[type, Kind], ...] = (
    (bool, Kind.BOOLEAN),  # before int: a bool is an int to Python
    (int, Kind.INTEGER),
    (float, Kind.NUMBER),
    (str, Kind.TEXT),
    (OpaqueKey, Kind.TEXT),
    (uuid.UUID, Kind.TEXT),
    (dt.datetime, Kind.TIME),
)
# Declared as integers. Depending on the forum's storage, these ids are text or numbers.
_FORUM_IDS = {(DiscussionThreadData, name) for name in ("id", "category_id", "team_id")}
# Fields that are personal data besides UserPersonalData: names, addresses, and text that a person wrote.
_PERSONAL = frozenset(
    {
        (CcxCourseData, "coach_email"),
        (CertificateData, "name"),
        (DiscussionThreadData, "body"),
        (DiscussionThreadData, "title"),
        (DiscussionThreadData, "title_truncated"),
        (LtiProviderLaunchParamsData, "extra_params"),
        (ORASubmissionData, "answer"),
        (VerificationAttemptData, "name"),
    }
)
# Declared as required. The LMS leaves them empty: the time of passing until the learner has passed, the others when the
# course was never edited.
_OFTEN_EMPTY = {
    (PersistentCourseGradeData, name) for name in ("passed_timestamp", "course_edited_timestamp", "course_version")
}
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence)
_MAPS = (dict, collections.abc.Mapping)


def shape_of(signal: OpenEdxPublicSignal) -> Shape:
    """
    Return the shape of a signal's arguments. Raises TypeError, which names the class, when it cannot be derived.

    ``UserPersonalData`` is personal. Classes of other packages declare personal fields in the metadata of attrs:
    ``name: str = attr.ib(metadata={"personal": True})``.
    """
    lenient = signal.event_type in KNOWN_UNSERIALIZABLE_SIGNALS
    arguments = {name: _shape(given, lenient, ()) for name, given in signal.init_data.items()}
    return Shape(Kind.OBJECT, arguments)


def user_paths(signal: OpenEdxPublicSignal) -> list[str]:
    """Return the paths of all ``UserData`` in a signal. A path begins with the name of the argument."""
    return [join_path(keys) for name, given in signal.init_data.items() for keys in _users(given, (name,), ())]


def holds_object(signal: OpenEdxPublicSignal) -> bool:
    """Return whether a signal has a single argument that is an object. Rules need not name the argument then."""
    given = list(signal.init_data.values())
    return len(given) == 1 and attrs.has(_required(given[0]))


def _shape(given: Any, lenient: bool, above: tuple[type, ...]) -> Shape:
    wanted = _required(given)
    nullable = lenient or wanted is not given
    origin = get_origin(wanted) or wanted
    if origin is Any:
        return Shape(Kind.ANY, nullable=True)
    if attrs.has(origin):
        if origin in above:  # a class that contains itself: rules cannot use deeper levels
            return Shape(Kind.MAP, nullable=nullable)
        fields, personal = _fields(origin, lenient, (*above, origin)), issubclass(origin, UserPersonalData)
        return Shape(Kind.OBJECT, fields, nullable=nullable, personal=personal)
    if origin in _LISTS:
        return Shape(Kind.LIST, item=_item(get_args(wanted)[:1], lenient, above), nullable=nullable)
    if origin in _MAPS:
        return Shape(Kind.MAP, item=_item(get_args(wanted)[1:], lenient, above), nullable=nullable)
    return Shape(_kind(origin), nullable=nullable)


def _item(arguments: tuple[Any, ...], lenient: bool, above: tuple[type, ...]) -> Shape | None:
    if not arguments or isinstance(arguments[0], typing.TypeVar):
        return None
    return _shape(arguments[0], lenient, above)


def _fields(cls: type, lenient: bool, above: tuple[type, ...]) -> dict[str, Shape]:
    fields = {}
    for attribute, declared in _attributes(cls):
        shape = _shape(declared, lenient and not issubclass(cls, UserData), above)
        # Senders leave `pii` out to keep personal data off the bus, although its class requires it.
        optional = attribute.default is not attrs.NOTHING or _required(declared) is UserPersonalData
        if optional or issubclass(cls, UserPersonalData):
            shape = replace(shape, nullable=True)
        if (cls, attribute.name) in _OFTEN_EMPTY:
            shape = replace(shape, nullable=True)
        if (cls, attribute.name) in _FORUM_IDS:
            shape = Shape(Kind.ANY, nullable=True)
        if (cls, attribute.name) in _PERSONAL or attribute.metadata.get("personal"):
            shape = replace(shape, personal=True)
        fields[attribute.name] = shape
    return fields


def _attributes(cls: type) -> Iterator[tuple[Any, Any]]:
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        raise TypeError(
            f"{cls.__module__}.{cls.__qualname__} has an annotation that cannot be read: {error}"
        ) from error
    for attribute in attrs.fields(cls):
        yield attribute, hints.get(attribute.name, attribute.type)


def _kind(cls: Any) -> Kind:
    for known, kind in _KINDS:
        if isinstance(cls, type) and issubclass(cls, known):
            return kind
    return Kind.TEXT  # values with a custom serializer on the bus arrive as text


def _required(given: Any) -> Any:
    """Return the type behind ``Optional``; any other type as it is."""
    if get_origin(given) in (typing.Union, types.UnionType):
        others = [option for option in get_args(given) if option is not type(None)]
        return others[0] if len(others) == 1 else str
    return given


def _users(given: Any, keys: tuple[str, ...], above: tuple[type, ...]) -> Iterator[tuple[str, ...]]:
    wanted = _required(given)
    if not isinstance(wanted, type) or not attrs.has(wanted) or wanted in above:
        return
    if issubclass(wanted, UserData):
        yield keys
        return
    for attribute, declared in _attributes(wanted):
        yield from _users(declared, (*keys, attribute.name), (*above, wanted))
