"""
Event types that rules may use: the configured public signals, the shape of their data, and the path to the learner.

``LMS_BADGES_CONFIG["events"]`` names them. Their signals are defined by openedx-events or by another package.
``LMS_BADGES_CONFIG["signal_modules"]`` names modules with signals that nothing else imports. Definitions are computed
once and dropped when settings change. A wrong setting raises nothing here: system checks report it.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from openedx_events.tooling import OpenEdxPublicSignal, load_all_signals

from badges.catalog import signal_shapes
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
from badges.conf import HOST_SETTING, config
from badges.exceptions import UnknownEventType
from badges.rules import DataRule, Kind, RuleError, Shape, compile_rule, split_path

log = logging.getLogger(__name__)


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
    """

    type: str
    shape: Shape = field(repr=False)
    learner_path: str | None
    single: str | None
    user_paths: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def subject(self, data: Mapping[str, Any]) -> Any:
        """Return the part of an event's data that rules see."""
        return data if self.single is None else data.get(self.single)

    def without_personal(self, data: Mapping[str, Any]) -> Any:
        """Return an event's data without the fields that are declared personal."""
        return self.shape.without_personal(data)

    def learner(self, data: Mapping[str, Any]) -> LearnerData | None:
        """Return the learner that an event is about; None when the event names none."""
        path = self._learner_path
        if path is None:
            return None
        found: Any = data
        for key in path.keys:
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return _NAMED_BY[path.naming](found, path)

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
    def subject_shape(self) -> Shape:
        """The shape of the data that rules see."""
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


_NAMED_BY: Mapping[Naming, Callable[[Any, LearnerPath], LearnerData | None]] = {
    Naming.USER_DATA: _by_user_data,
    Naming.LMS_USER_ID: _by_lms_user_id,
    Naming.USERNAME: _by_username,
    Naming.EXTERNAL: _by_external_identity,
}


def configured() -> Mapping[str, EventDefinition]:
    """Return the definitions of all configured event types. It is the same object until settings change."""
    cached = _cache.get("configured")
    if cached is not None and not any(event_type in OpenEdxPublicSignal._mapping for event_type in cached.missing):
        return cached.definitions
    with _lock:
        _cache["configured"] = cached = _define_configured()
    return cached.definitions


def get(event_type: str) -> EventDefinition:
    """Return the definition of a configured event type. Raises UnknownEventType, which names the setting."""
    found = configured().get(event_type)
    if found is None:
        remedy = "add it to LMS_BADGES_CONFIG['events']" if is_known(event_type) else "no installed package defines it"
        raise UnknownEventType(f"The event type {event_type} is not configured here: {remedy}.")
    return found


def why_unusable(event_type: str, definitions: Mapping[str, EventDefinition]) -> str:
    """Return why requirements and criteria cannot use an event type, and the remedy; empty when they can."""
    definition = definitions.get(event_type)
    if definition is not None:
        if definition.learner_path is not None:
            return ""
        return "events of this type do not say which learner they are about; manage.py check tells what to configure"
    if is_known(event_type):
        return f"{event_type} is not configured here; add it to LMS_BADGES_CONFIG['events']"
    near = difflib.get_close_matches(event_type, definitions, n=2)
    remedy = " or ".join(near) if near else f"one of {', '.join(definitions)}"
    return f"there is no event type {event_type}; write {remedy}"


def is_known(event_type: str) -> bool:
    """Return whether an installed package defines a signal of this type, configured or not."""
    return find_signal(event_type) is not None


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
    return EventDefinition(
        type=signal.event_type,
        shape=shape,
        learner_path=_learner_path(signal.event_type, shape, users),
        single=next(iter(signal.init_data)) if signal_shapes.holds_object(signal) else None,
        user_paths=users,
        ignored=tuple(_text_items(config.rules.get("ignored_keypaths")) if isinstance(config.rules, dict) else ()),
    )


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


_lock = threading.RLock()  # a module with signals may call this while it is imported
_cache: dict[str, _Cached] = {}


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
