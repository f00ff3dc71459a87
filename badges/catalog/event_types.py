"""
Event types that rules may use: their names, the shape of their data, and the path to the learner.

There are two sorts. Public signals are defined by openedx-events or by another package, and
``LMS_BADGES_CONFIG["events"]`` names them. ``LMS_BADGES_CONFIG["signal_modules"]`` names modules with signals that
nothing else imports. Own event types are rows (``EventType``) that staff of this site have made.

Definitions are computed once. Those of signals are dropped when settings change. Those of rows are read again when the
number of event types in ``CatalogVersion`` has changed: whoever decides events reads that number anyway, with the
number of the catalog. A wrong setting raises nothing here: system checks report it.
"""

from __future__ import annotations

import difflib
import importlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from django.db import connection
from openedx_events.tooling import OpenEdxPublicSignal, load_all_signals

from badges.catalog import signal_shapes
from badges.catalog.data_schemas import DataSchema, read_schema
from badges.catalog.learner_paths import (
    LEARNER_PATHS,
    SUBJECT_LENGTH,
    ExternalIdentity,
    LearnerPath,
    LearnerPathError,
    Naming,
    PersonKey,
    read_learner_path,
)
from badges.catalog.models import CatalogVersion, EventType
from badges.conf import HOST_SETTING, config
from badges.database import retry_transient
from badges.exceptions import UnknownEventType
from badges.rules import DataRule, Kind, RuleError, Shape, compile_rule, join_path, split_path

log = logging.getLogger(__name__)

# How the settings name the person of an event.
_USER = "user"

# Names that only signals may have: what comes under such a name was said by the LMS.
RESERVED = "org.openedx."
# Seconds for which an own event type is believed while events of it arrive one after the other.
BELIEVED_SECONDS = 1.0


class LearnerData(NamedTuple):
    """
    The learner that an event is about, as the event names them.

    There is an LMS user id, or a username, or an external identity. Events with ``UserData`` have the LMS user id, and
    the personal fields unless the sender left them out.
    """

    lms_user_id: int | None
    is_active: bool
    username: str | None
    email: str | None
    name: str | None
    external: ExternalIdentity | None = None

    @property
    def key(self) -> PersonKey:
        """What identifies the person. An LMS user id is preferred to the other names."""
        if self.lms_user_id is not None:
            return self.lms_user_id
        return self.external or self.username or ""


@dataclass(frozen=True)
class EventDefinition:
    """
    One event type, prepared for matching many events.

    - ``shape``: the shape of all arguments of the signal.
    - ``single``: the name of the argument when there is only one and it is an object. Rules then see this object,
      otherwise all arguments.
    - ``learner_path``: where the event names its learner (``badges.catalog.learner_paths``); None when it is not known.
    - ``user_paths``: all paths to a ``UserData``.
    - ``ignored``: key paths that rules may not use.
    - ``schema``: the JSON Schema of an own event type; None for a public signal. All data is one object then.
    """

    type: str
    shape: Shape = field(repr=False)
    learner_path: str | None
    single: str | None
    user_paths: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    schema: DataSchema | None = field(default=None, repr=False)

    @property
    def is_own(self) -> bool:
        """Whether staff of this site have made this event type."""
        return self.schema is not None

    def canonical(self, data: Any, where: str) -> Any:
        """
        Check an event's data and return it in its one canonical form.

        ``where`` is put before paths in errors. Raises ShapeError.
        """
        if self.schema is not None:
            self.schema.check(data, where)
        return self.shape.canonical(data, where)

    def note(self, path: str) -> str | None:
        """Return what the author of an own event type has said about the values at a key path."""
        return self.schema.notes.get(path) if self.schema else None

    def subject(self, data: Mapping[str, Any]) -> Any:
        """Return the part of an event's data that rules see. They see no personal data of own event types."""
        if self.schema is not None:
            return self.shape.without_personal(data)
        return data if self.single is None else data.get(self.single)

    def without_personal(self, data: Mapping[str, Any]) -> Any:
        """Return an event's data without the fields that are declared personal."""
        return self.shape.without_personal(data)

    def learner(self, data: Mapping[str, Any]) -> LearnerData | None:
        """Return the learner that an event is about; None when the event names none."""
        path, read_person = self._learner_path, self._read_person
        if path is None or read_person is None:
            return None
        found: Any = data
        for key in path.keys:
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return read_person(found, path)

    @property
    def naming(self) -> Naming | None:
        """How events of this type name their learner; None when that is not known."""
        return self._learner_path.naming if self._learner_path else None

    @cached_property
    def _learner_path(self) -> LearnerPath | None:
        if self.learner_path is None:
            return None
        return read_learner_path(self.learner_path, shape=self.shape, users=self.user_paths)

    @cached_property
    def _read_person(self) -> _ReadPerson | None:
        return _READ_PERSON[self._learner_path.naming] if self._learner_path else None

    @cached_property
    def subject_shape(self) -> Shape:
        """The shape of the data that rules see."""
        if self.schema is not None:
            return self.schema.visible
        return self.shape if self.single is None else self.shape.fields[self.single]

    @cached_property
    def rule_shape(self) -> Shape:
        """The shape of the data that new rules may use: without the ignored key paths."""
        return _without(self.subject_shape, {split_path(path) for path in self.ignored}, ()) or Shape(Kind.OBJECT)

    def key_paths(self) -> list[tuple[str, Kind]]:
        """Return every key path that a new rule may use, with its kind."""
        return list(self.rule_shape.key_paths())

    def compile(self, path: str, operator: str, value: Any) -> DataRule:
        """Compile a rule that an author wrote. Raises RuleError, also for an ignored key path."""
        hidden = isinstance(path, str) and self._hides(split_path(path))
        if hidden:
            message = f"{path} may not be used in rules here (LMS_BADGES_CONFIG['rules']['ignored_keypaths'])"
            raise RuleError("invalid_criteria", path, message, field="path")
        if (
            self.schema is not None
            and isinstance(path, str)
            and not self.schema.visible.at(path)
            and self.shape.at(path)
        ):
            message = f"{path} is personal data, or its schema does not say of which type it is; rules cannot use it"
            raise RuleError("invalid_criteria", path, message, field="path")
        return compile_rule(self.rule_shape, path, operator, value)

    def _hides(self, keys: tuple[str, ...]) -> bool:
        return any(keys[: len(hidden)] == hidden for hidden in map(split_path, self.ignored))


def _by_user_data(found: Any, path: LearnerPath) -> LearnerData | None:
    if not isinstance(found, dict) or found.get("id") is None:
        return None
    pii = found.get("pii") or {}
    active = found.get("is_active") is not False
    return LearnerData(found["id"], active, pii.get("username"), pii.get("email"), pii.get("name"))


def _by_lms_user_id(found: Any, path: LearnerPath) -> LearnerData | None:
    return LearnerData(found, True, None, None, None) if isinstance(found, int) else None


def _by_username(found: Any, path: LearnerPath) -> LearnerData | None:
    return LearnerData(None, True, found, None, None) if found and isinstance(found, str) else None


def _by_external_identity(found: Any, path: LearnerPath) -> LearnerData | None:
    subject = "" if found is None else str(found)
    if not 0 < len(subject) <= SUBJECT_LENGTH:
        return None
    return LearnerData(None, True, None, None, None, ExternalIdentity(path.issuer, subject))


_ReadPerson = Callable[[Any, LearnerPath], LearnerData | None]

_READ_PERSON: Mapping[Naming, _ReadPerson] = {
    Naming.USER_DATA: _by_user_data,
    Naming.LMS_USER_ID: _by_lms_user_id,
    Naming.USERNAME: _by_username,
    Naming.EXTERNAL: _by_external_identity,
}


def configured() -> Mapping[str, EventDefinition]:
    """
    Return the definitions of all event types that rules may use; no statement.

    It is the same object until settings change or this process notices that event types have changed.
    """
    global _merged
    signals, own = _configured_signals(), _own
    if not own.definitions:
        return signals
    merged = _merged
    if merged is None or merged.signals is not signals or merged.own is not own.definitions:
        # A signal that was installed later wins over a row of its name.
        _merged = merged = _Merged(signals, own.definitions, {**own.definitions, **signals})
    return merged.definitions


def configured_signals() -> Mapping[str, EventDefinition]:
    """Return the definitions of the configured public signals, without the event types of this site; no statement."""
    return _configured_signals()


def find(event_type: str) -> EventDefinition | None:
    """
    Return the definition of an event type, or None when it is not configured here.

    This is for events that arrive in a process that runs for long. So it asks the database whether an own event type
    has changed, at most once a second while it is known, and each time while it is not. Public signals cost no
    statement. Raises Retryable when the database does not answer.
    """
    found = configured().get(event_type)
    if found is not None and (not found.is_own or time.monotonic() - _own.read_at < BELIEVED_SECONDS):
        return found
    if found is None and find_signal(event_type) is not None:
        return None
    return refreshed().get(event_type)


def get(event_type: str) -> EventDefinition:
    """Return what ``find`` returns. Raises UnknownEventType, with the remedy, when the type is not configured."""
    found = find(event_type)
    if found is None:
        raise unknown(event_type)
    return found


def unknown(event_type: str) -> UnknownEventType:
    """Return the error for an event type that ``find`` does not find, with the remedy; no statement."""
    return UnknownEventType(f"The event type {event_type} is not configured here: {_remedy(event_type)}.")


def _remedy(event_type: str) -> str:
    if find_signal(event_type) is not None:
        return "add it to LMS_BADGES_CONFIG['events']"
    if event_type in _own.inactive:
        return "make it active again, on the page of event types"
    return "no installed package defines it, and this site has no event type of this name"


def refreshed() -> Mapping[str, EventDefinition]:
    """
    Return the definitions after asking the database for event types of this site; one statement, or two.

    Raises Retryable when the database does not answer.
    """
    read = CatalogVersion.objects.filter(id=1).values_list("event_types", flat=True)
    if connection.in_atomic_block:
        return at(read.first() or 0)
    return at(retry_transient(read.first) or 0)


def at(number: int) -> Mapping[str, EventDefinition]:
    """
    Return the definitions for a number of ``CatalogVersion.event_types``.

    It costs a statement when this process does not know that number yet.
    """
    global _own
    if number != _own.number:
        with _lock:
            if number != _own.number:
                _own = _read_own(number, _own)
    _own.read_at = time.monotonic()
    return configured()


def why_unusable(event_type: str, definitions: Mapping[str, EventDefinition]) -> str:
    """Return why requirements and criteria cannot use an event type, and the remedy; empty when they can."""
    definition = definitions.get(event_type)
    if definition is not None:
        if definition.learner_path is not None:
            return ""
        return "events of this type do not say which learner they are about; manage.py check tells what to configure"
    if find_signal(event_type) is not None:
        return f"{event_type} is not configured here; add it to LMS_BADGES_CONFIG['events']"
    if is_known(event_type):
        return f"the event type {event_type} is not active; make it active first, or write another one"
    near = difflib.get_close_matches(event_type, definitions, n=2)
    remedy = " or ".join(near) if near else f"one of {', '.join(definitions)}"
    return f"there is no event type {event_type}; write {remedy}"


def is_known(event_type: str) -> bool:
    """Return whether there is such an event type, configured or not: a signal, or a row that is not active."""
    return find_signal(event_type) is not None or event_type in _own.inactive


def known_types() -> list[str]:
    """Return all event types that can be configured."""
    load_signals()
    return sorted(OpenEdxPublicSignal._mapping)


def find_signal(event_type: str) -> OpenEdxPublicSignal | None:
    """Return the public signal of a type, from any package; None when there is none."""
    load_signals()
    try:
        return OpenEdxPublicSignal.get_signal_by_type(event_type)
    except (KeyError, TypeError):
        return None


@cache
def load_signals() -> dict[str, str]:
    """Import the modules that define signals. Return the errors by module name of ``signal_modules``."""
    load_all_signals()
    failed = {}
    for module in _text_items(config.signal_modules):
        try:
            importlib.import_module(module)
        except Exception as error:  # another package's import may fail in any way; a system check reports it
            failed[module] = f"{type(error).__name__}: {error}"
    return failed


def define(signal: OpenEdxPublicSignal) -> EventDefinition:
    """Return the definition of a signal, configured or not. Raises TypeError when its classes cannot be read."""
    users = tuple(signal_shapes.user_paths(signal))
    shape = signal_shapes.shape_of(signal)
    single = next(iter(signal.init_data)) if signal_shapes.holds_object(signal) else None
    return EventDefinition(
        type=signal.event_type,
        shape=shape,
        learner_path=_learner_path(signal.event_type, shape, users),
        single=single,
        user_paths=users,
        ignored=tuple(_ignored(users, is_single=single is not None)),
    )


def _ignored(users: Iterable[str], *, is_single: bool) -> list[str]:
    """
    Return the ignored key paths. What is ignored of ``user`` is ignored of everybody whom an event names.

    ``users`` are the paths of ``UserData``, each with its argument. Rules see no name of a single argument.
    """
    given = _text_items(config.rules.get("ignored_keypaths")) if isinstance(config.rules, dict) else []
    of_users = [keys[1:] for keys in map(split_path, given) if keys[0] == _USER and len(keys) > 1]
    places = [split_path(path)[is_single:] for path in users]
    return [*given, *(join_path([*place, *keys]) for place in places for keys in of_users)]


def define_own(name: str, *, schema: DataSchema, learner_path: str) -> EventDefinition:
    """Return the definition of an event type of this site. Raises LearnerPathError when its data has no such path."""
    read_learner_path(learner_path, shape=schema.shape, users=())
    return EventDefinition(type=name, shape=schema.shape, learner_path=learner_path, single=None, schema=schema)


def name_problem(name: str) -> str | None:
    """Return why an event type of this site cannot have a name, or None. Costs no statement."""
    if not name.isprintable() or any(map(str.isspace, name)):
        return "write a name without spaces, such as com.example.workshop.attended.v1"
    if name.startswith(RESERVED):
        return f"names that begin with {RESERVED} are those of Open edX; begin with a domain of your own, reversed"
    if find_signal(name) is not None:
        return "an installed package defines a public signal of this name; write another one"
    return None


def _learner_path(event_type: str, shape: Shape, users: tuple[str, ...]) -> str | None:
    """Take the configured path, then the one of the table, then the only user. A path that cannot be used is none."""
    given = config.learner_paths.get(event_type) if isinstance(config.learner_paths, dict) else None
    if given is not None:
        try:
            read_learner_path(str(given), shape=shape, users=users)
        except LearnerPathError:
            return None
        return str(given)
    if LEARNER_PATHS.get(event_type) in users:
        return LEARNER_PATHS[event_type]
    return users[0] if len(users) == 1 else None


class _Cached(NamedTuple):
    definitions: dict[str, EventDefinition]
    missing: tuple[str, ...]


class _Merged(NamedTuple):
    """All definitions, and the two parts that they were made of."""

    signals: Mapping[str, EventDefinition]
    own: Mapping[str, EventDefinition]
    definitions: Mapping[str, EventDefinition]


@dataclass(slots=True)
class _Own:
    """
    The event types of this site at one number of ``CatalogVersion.event_types``.

    - ``rows``: what the definitions were made of, by name.
    - ``inactive``: the names of rows that are not active.
    - ``read_at``: when this process last saw the number, on the monotonic clock.
    """

    number: int = 0
    rows: dict[str, tuple[str, str]] = field(default_factory=dict)
    definitions: dict[str, EventDefinition] = field(default_factory=dict)
    inactive: frozenset[str] = frozenset()
    read_at: float = float("-inf")


_lock = threading.RLock()  # a module with signals may call this while it is imported
_cache: dict[str, _Cached] = {}
_own = _Own()
_merged: _Merged | None = None


def _configured_signals() -> dict[str, EventDefinition]:
    cached = _cache.get("configured")
    if cached is not None and not any(event_type in OpenEdxPublicSignal._mapping for event_type in cached.missing):
        return cached.definitions
    with _lock:
        _cache["configured"] = cached = _define_configured()
    return cached.definitions


def _read_own(number: int, before: _Own) -> _Own:
    """Read all rows; one statement. What has not changed keeps its definition, so that little is compiled anew."""
    if not number:
        return _Own()
    rows: dict[str, tuple[str, str]] = {}
    definitions: dict[str, EventDefinition] = {}
    inactive: set[str] = set()
    columns = ("name", "is_active", "schema", "learner_path")
    for name, is_active, schema, path in EventType.objects.values_list(*columns):
        if not is_active:
            inactive.add(name)
            continue
        rows[name] = (schema, path)
        known = before.definitions.get(name) if before.rows.get(name) == rows[name] else None
        definition = known or _define_row(name, schema, path)
        if definition is not None:
            definitions[name] = definition
    if definitions == before.definitions:
        definitions = before.definitions
    return _Own(number, rows, definitions, frozenset(inactive))


def unusable_rows() -> list[tuple[str, str]]:
    """Return the active event types of this site that are left out of the catalog, and why; one statement."""
    columns = ("name", "schema", "learner_path")
    rows = EventType.objects.filter(is_active=True).order_by("name").values_list(*columns)
    read = ((row[0], _read_row(*row)) for row in rows)
    return [(name, found) for name, found in read if isinstance(found, str)]


def _define_row(name: str, schema: str, path: str) -> EventDefinition | None:
    """Return the definition of a row; None if it cannot be used, which the log says."""
    found = _read_row(name, schema, path)
    if isinstance(found, EventDefinition):
        return found
    log.error("The event type %s is left out: %s", name, found)
    return None


def _read_row(name: str, schema: str, path: str) -> EventDefinition | str:
    """Return the definition of a row, or why it cannot be used."""
    reason = name_problem(name)
    if reason is not None:
        return reason
    try:
        read, problems = read_schema(json.loads(schema), "schema")
        return str(problems[0]) if read is None else define_own(name, schema=read, learner_path=path)
    except (ValueError, LearnerPathError) as error:
        return str(error)


def _define_configured() -> _Cached:
    definitions, missing = {}, []
    for event_type in _text_items(config.events):
        signal = find_signal(event_type)
        if signal is None:
            missing.append(event_type)  # its module may be imported later, so this is tried again
            continue
        try:
            definitions[event_type] = define(signal)
        except TypeError as error:
            log.error("The event type %s is left out: %s", event_type, error)
    return _Cached(definitions, tuple(missing))


def _text_items(given: Any) -> list[str]:
    """Return the texts of a setting that should be a list of texts."""
    return [item for item in given if isinstance(item, str)] if isinstance(given, (list, tuple, set)) else []


def _without(shape: Shape, hidden: set[tuple[str, ...]], keys: tuple[str, ...]) -> Shape | None:
    if keys in hidden:
        return None
    if shape.kind is not Kind.OBJECT:
        return shape
    fields = {key: _without(child, hidden, (*keys, key)) for key, child in shape.fields.items()}
    left = {key: child for key, child in fields.items() if child is not None}
    return Shape(shape.kind, left, nullable=shape.nullable) if left else None


def _clear_cache(*, setting: str, **_: Any) -> None:
    if setting in ("LMS_BADGES_CONFIG", HOST_SETTING):
        _cache.clear()
        load_signals.cache_clear()


setting_changed.connect(_clear_cache, dispatch_uid="badges.catalog.event_types")
