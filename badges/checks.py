"""
System checks: mistakes in the settings, reported before the first event.

Other code ignores wrong settings where it can. Only these checks report them, with a line to paste. Their ids are
stable, because hosts silence checks by id.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS

from badges.catalog import event_types
from badges.conf import DEFAULTS, PASSING_STATUS, config
from badges.database import incomplete_character_sets
from badges.issuers import registry

# Keys of the host's own badges app, which reads the same dict.
_HOST_KEYS = frozenset({"accredible"})

BADGE_AWARDED = "org.openedx.learning.badge.awarded.v1"


@register("lms_badges")
def check_config(**_: Any) -> list[CheckMessage]:
    """Report unknown keys of ``BADGES_CONFIG``, and values of a wrong type."""
    given = getattr(settings, "BADGES_CONFIG", {})
    if not isinstance(given, dict):
        return [Error("BADGES_CONFIG is not a dict.", hint="BADGES_CONFIG = {}", id="lms_badges.E007")]
    return [*_config_problems(given, {**DEFAULTS, **registry.settings()}, ""), *_field_problems()]


@register("lms_badges")
def check_events(**_: Any) -> list[CheckMessage]:
    """Report configured event types that do not exist, and those without a known path to the learner."""
    if not isinstance(getattr(settings, "BADGES_CONFIG", {}), dict):
        return []
    failed = event_types.load_signals()
    problems = [_module_problem(module, reason) for module, reason in failed.items()]
    events = config.events
    if isinstance(events, (list, tuple)) and not events:
        hint = f'BADGES_CONFIG["events"] = ["{PASSING_STATUS}"]'
        problems.append(
            Error("No event types are configured, so no badge can be earned.", hint=hint, id="lms_badges.E001")
        )
    for event_type in events if isinstance(events, (list, tuple)) else ():
        problems += _event_problems(event_type)
    return problems


@register("lms_badges")
def check_host(**_: Any) -> list[CheckMessage]:
    """Report settings of the host outside ``BADGES_CONFIG`` that do not fit."""
    problems: list[CheckMessage] = []
    own = getattr(settings, "BADGES_ENABLED", None)
    if own or (own is None and any(app.label == "badges" for app in apps.get_app_configs())):
        problems.append(
            Warning(
                "The host's own badges app is switched on too: the same event may earn a learner two badges.",
                hint="BADGES_ENABLED = False",
                id="lms_badges.W001",
            )
        )
    if getattr(settings, "CELERY_BROKER_URL", None) and not _sweep_is_scheduled():
        problems.append(
            Warning(
                "No beat entry runs the task badges.sweep: what a lost wake-up leaves behind stays there.",
                hint='CELERY_BEAT_SCHEDULE["badges-sweep"] = {"task": "badges.sweep", "schedule": 60.0}, '
                "or run manage.py badges_drain --forever",
                id="lms_badges.W002",
            )
        )
    if getattr(settings, "EVENT_BUS_PRODUCER", None) and not _awards_are_published():
        problems.append(
            Warning(
                f"This host publishes on an event bus, and {BADGE_AWARDED} is on none of its topics: awards are "
                "announced in the process only.",
                hint=f'EVENT_BUS_PRODUCER_CONFIG["{BADGE_AWARDED}"] = '
                '{"learning-badges-lifecycle": {"event_key_field": "badge.uuid", "enabled": True}}',
                id="lms_badges.W003",
            )
        )
    return problems


@register("lms_badges", Tags.database)
def check_character_set(*, databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report tables that cannot store all text. Only ``migrate`` and ``--database`` run it, since it queries them."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    accounts = get_user_model()._meta.db_table
    tables = [model._meta.db_table for model in apps.get_app_config("lms_badges").get_models()]
    return [
        Warning(
            f"{place} in the character set {name}, which has no emoji and not all Chinese characters: events and "
            "names with such a character become dead letters.",
            hint=remedy,
            id="lms_badges.W004",
        )
        for place, name, remedy in incomplete_character_sets([*tables, accounts])
    ]


# --- the dict --------------------------------------------------------------------------------------------------------


def _config_problems(given: dict[Any, Any], known: dict[str, Any], where: str) -> Iterator[CheckMessage]:
    for key, value in given.items():
        place = f"{where}[{key!r}]"
        if key not in known:
            if where or key not in _HOST_KEYS:
                yield _unknown_key(str(key), list(known), place)
        elif not _has_type_of(value, known[key]):
            message = f"BADGES_CONFIG{place} is {_type_name(value)}; it should be {_type_name(known[key])}."
            yield Error(message, hint="The settings page of the documentation describes it.", id="lms_badges.E007")
        elif isinstance(value, dict) and known[key]:
            yield from _config_problems(value, known[key], place)


def _unknown_key(key: str, known: list[str], place: str) -> CheckMessage:
    near = difflib.get_close_matches(key.lower(), {word.lower(): word for word in known}, n=1)
    by_fold = {word.lower(): word for word in known}
    hint = f"Did you mean {by_fold[near[0]]!r}?" if near else f"Known are: {', '.join(sorted(known))}."
    return Error(f"BADGES_CONFIG{place} is read by nobody.", hint=hint, id="lms_badges.E006")


def _has_type_of(value: Any, default: Any) -> bool:
    """Return whether a value has the type of the default. A default of None allows every type."""
    if default is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, (int, float)):
        return isinstance(value, (int, float))
    if isinstance(default, (list, tuple)):
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return isinstance(value, type(default))


def _type_name(value: Any) -> str:
    names = {bool: "True or False", int: "a number", float: "a number", str: "text", dict: "a dict"}
    if isinstance(value, (list, tuple)):
        return (
            "a list of texts" if all(isinstance(item, str) for item in value) else "a list of other things than texts"
        )
    return names.get(type(value), f"of type {type(value).__name__}")


def _field_problems() -> Iterator[CheckMessage]:
    wanted = config.user_lms_id_field
    fields = [field.name for field in get_user_model()._meta.get_fields()]
    if wanted is not None and wanted not in fields:
        near = difflib.get_close_matches(str(wanted), fields, n=1)
        hint = (
            f"Did you mean {near[0]!r}?" if near else "None, when the host's users have no field for the LMS user id."
        )
        message = f"BADGES_CONFIG['user_lms_id_field'] is {wanted!r}, which is no field of the host's users."
        yield Error(message, hint=hint, id="lms_badges.E010")


# --- event types -----------------------------------------------------------------------------------------------------


def _module_problem(module: str, reason: str) -> CheckMessage:
    return Error(
        f"The module {module} of BADGES_CONFIG['signal_modules'] cannot be imported: {reason}.",
        hint="Install the package that holds it, or remove the name.",
        id="lms_badges.E008",
    )


def _event_problems(event_type: Any) -> Iterable[CheckMessage]:
    signal = event_types.find_signal(event_type)
    if signal is None:
        return [_unknown_type(str(event_type))]
    try:
        definition = event_types.define(signal)
    except TypeError as error:
        return [Error(f"The data of {event_type} cannot be read: {error}.", id="lms_badges.E009")]
    return _learner_problems(definition)


def _unknown_type(event_type: str) -> CheckMessage:
    near = difflib.get_close_matches(event_type, event_types.known_types(), n=1)
    own = "For a signal of your own, name its module in BADGES_CONFIG['signal_modules']."
    hint = f"Did you mean {near[0]!r}? {own}" if near else own
    return Error(f"No installed package defines the event type {event_type!r}.", hint=hint, id="lms_badges.E002")


def _learner_problems(definition: event_types.EventDefinition) -> Iterator[CheckMessage]:
    if definition.learner_path is not None:
        return
    users = definition.user_paths
    if not users:
        yield Error(
            f"Events of type {definition.type} do not say whom they are about: their data holds no UserData.",
            hint="Remove it from BADGES_CONFIG['events'].",
            id="lms_badges.E004",
        )
        return
    others = "".join(f' or "{path}"' for path in users[1:])
    hint = f'BADGES_CONFIG["learner_paths"] = {{"{definition.type}": "{users[0]}"}}' + (
        f"  # {others[1:]}" if others else ""
    )
    given = config.learner_paths.get(definition.type) if isinstance(config.learner_paths, dict) else None
    if given is None:
        message = f"Events of type {definition.type} name several users: {', '.join(users)}. Which one is the learner?"
        yield Error(message, hint=hint, id="lms_badges.E003")
    else:
        message = f"BADGES_CONFIG['learner_paths'] says {given!r} for {definition.type}, where there is no UserData."
        yield Error(message, hint=hint, id="lms_badges.E005")


# --- the host --------------------------------------------------------------------------------------------------------


def _awards_are_published() -> bool:
    """Return whether awards are published on a topic. A host may have disabled it with its own badges app."""
    topics = (getattr(settings, "EVENT_BUS_PRODUCER_CONFIG", None) or {}).get(BADGE_AWARDED) or {}
    return any(topic.get("enabled") is True for topic in topics.values())


def _sweep_is_scheduled() -> bool:
    """Return whether beat runs the sweep. A schedule in the database cannot be read here, and counts as yes."""
    schedule = getattr(settings, "CELERY_BEAT_SCHEDULE", None) or {}
    in_database = "DatabaseScheduler" in str(getattr(settings, "CELERY_BEAT_SCHEDULER", ""))
    return in_database or any(entry.get("task") == "badges.sweep" for entry in schedule.values())
