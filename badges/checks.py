"""
System checks: mistakes in the settings, reported before the first event.

Other code ignores wrong settings where it can. Only these checks report them, with a line to paste. Their ids are
stable, because hosts silence checks by id.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction
from django.utils.module_loading import import_string

from badges import mail
from badges.announcements import bus, cloud_events
from badges.awarding.sharing import Sharing
from badges.catalog import event_types
from badges.catalog.learner_paths import LearnerPathError, read_learner_path
from badges.common.config_checks import config_problems
from badges.common.redaction import ErrorPageFilter
from badges.common.redis_client import INSTALL, URL_EXAMPLE, URL_FORMS, URL_SETTING, RedisURLError, make_client
from badges.conf import DEFAULTS, LMS_ID_FIELD, PASSING_STATUS, config, has_user_field, user_lms_id_field
from badges.database import incomplete_character_sets, inexact_columns
from badges.engagement.activities import time_zone
from badges.engagement.experience import read_rules
from badges.engagement.models import KIND_LENGTH
from badges.issuers import registry
from badges.outbox import circuit
from badges.pipeline.activities import kind_of_event
from badges.rules import Kind

# A year: more is a mistake.
MOST_HOURS = 8784

BADGE_AWARDED = "org.openedx.learning.badge.awarded.v1"


@register("lms_badges")
def check_config(**_: Any) -> list[CheckMessage]:
    """Report unknown keys of ``LMS_BADGES_CONFIG``, and values of a wrong type."""
    ids = {"no_dict": "lms_badges.E007", "unknown": "lms_badges.W011", "wrong": "lms_badges.E007"}
    problems = list(config_problems("LMS_BADGES_CONFIG", {**DEFAULTS, **registry.settings()}, **ids))
    is_dict = isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict)
    return [*problems, *_field_problems()] if is_dict else problems


@register("lms_badges")
def check_events(**_: Any) -> list[CheckMessage]:
    """Report configured event types that do not exist, and those without a known path to the learner."""
    if not isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict):
        return []
    failed = event_types.load_signals()
    problems = [_module_problem(module, reason) for module, reason in failed.items()]
    events = config.events
    if isinstance(events, (list, tuple)) and not events:
        hint = f'LMS_BADGES_CONFIG["events"] = ["{PASSING_STATUS}"]'
        problems.append(
            Error("No event types are configured, so no badge can be earned.", hint=hint, id="lms_badges.E001")
        )
    for event_type in events if isinstance(events, (list, tuple)) else ():
        problems += _event_problems(event_type)
    return problems


@register("lms_badges")
def check_engagement(**_: Any) -> list[CheckMessage]:
    """Report rules for XP that are wrong, and event types and a time zone that nothing can use."""
    if not isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict) or not isinstance(config.engagement, dict):
        return []  # E007 says so
    place = "LMS_BADGES_CONFIG['engagement']"
    _rules, wrong = read_rules(config.engagement["xp"])
    hint = "The page Give XP and streak badges of the documentation describes the rules."
    problems: list[CheckMessage] = [Error(f"{place}['xp']{each}.", hint=hint, id="lms_badges.E013") for each in wrong]
    zone = config.engagement["time_zone"]
    if zone is not None and time_zone(zone) is None:
        hint = "Write an IANA name, such as Europe/Brussels."
        message = f"{place}['time_zone'] is {zone!r}, which is no time zone that this machine has."
        problems.append(Error(message, hint=hint, id="lms_badges.E014"))
    kinds = config.engagement["events"]
    for event_type in kinds if isinstance(kinds, dict) else ():
        where = f"{place}['events'][{event_type!r}]"
        if kind_of_event(event_type) is None:
            hint = f"Write text of 1 to {KIND_LENGTH} characters, such as 'course'."
            problems.append(Error(f"{where} is no kind of activity.", hint=hint, id="lms_badges.E015"))
        elif event_types.find_signal(event_type) is not None and event_type not in config.events:
            hint = f"Add {event_type!r} to LMS_BADGES_CONFIG['events']."
            message = f"{where} has no effect: events of this type are not received."
            problems.append(Warning(message, hint=hint, id="lms_badges.W015"))
    return problems


@register("lms_badges")
def check_pages(**_: Any) -> list[CheckMessage]:
    """Report a value of ``pages.sharing`` that means nothing."""
    if not isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict) or not isinstance(config.pages, dict):
        return []  # E007 says so
    value, known = config.pages["sharing"], [policy.value for policy in Sharing]
    if value in known:
        return []
    message = f"LMS_BADGES_CONFIG['pages']['sharing'] is {value!r}, which means nothing, so no badge is public."
    return [Error(message, hint=f"Write one of: {', '.join(known)}.", id="lms_badges.E016")]


@register("lms_badges")
def check_providers(**_: Any) -> list[CheckMessage]:
    """Report accounts at providers that cannot work, and what is switched on for moving over only."""
    if not isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict) or not isinstance(config.providers, dict):
        return []  # E007 says so
    problems: list[CheckMessage] = []
    for name in ("sweep_hours", "sync_hours"):
        value = config.providers[name]
        if isinstance(value, (int, float)) and not 0 <= value <= MOST_HOURS:
            message = f"LMS_BADGES_CONFIG['providers'][{name!r}] is {value!r}, which is no number of hours."
            problems.append(
                Error(message, hint=f"Write 24, or another number up to {MOST_HOURS}.", id="lms_badges.E020")
            )
    for slug, issuer in registry.working().items():
        for message, hint in issuer.settings_problems():
            problems.append(Error(message, hint=hint, id="lms_badges.E021"))
        if issuer.takes_webhooks_without_secret:
            message = f"Anybody can send webhooks of {slug}, because an address without a secret is switched on."
            hint = f'Give {slug} the address that the admin makes, then set "webhook_without_secret": False.'
            problems.append(Warning(message, hint=hint, id="lms_badges.W020"))
    return problems


@register("lms_badges")
def check_host(**_: Any) -> list[CheckMessage]:
    """Report settings of the host outside ``LMS_BADGES_CONFIG`` that do not fit."""
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
    if not issubclass(import_string(settings.DEFAULT_EXCEPTION_REPORTER_FILTER), ErrorPageFilter):
        problems.append(
            Warning(
                "Error pages and the mails about errors can show the tokens of organizations that are in the settings.",
                hint=f'DEFAULT_EXCEPTION_REPORTER_FILTER = "{ErrorPageFilter.__module__}.{ErrorPageFilter.__name__}", '
                "or a class of yours that inherits from it.",
                id="lms_badges.W030",
            )
        )
    if getattr(settings, "CELERY_BROKER_URL", None) and not _sweep_is_scheduled():
        problems.append(
            Warning(
                "No beat entry runs the task badges.sweep: rows whose worker notification was lost stay there.",
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


@register("lms_badges")
def check_mail(**_: Any) -> list[CheckMessage]:
    """Report mails that are wanted and cannot be sent, because their links would lead nowhere."""
    if not isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict) or not isinstance(config.mail, dict):
        return []
    is_wanted = mail.tells_of_awards() or mail.reminder_days() > 0
    if not is_wanted or str(config.public_url or "").startswith(("https://", "http://")):
        return []
    return [
        Warning(
            "Mails about badges are switched on and wait, because LMS_BADGES_CONFIG['public_url'] is not set.",
            hint='LMS_BADGES_CONFIG["public_url"] = "https://credentials.example.org"',
            id="lms_badges.W017",
        )
    ]


@register("lms_badges")
def check_cloud_events(**_: Any) -> list[CheckMessage]:
    """Report event types that cannot be published, and a host that cannot publish those that it wants."""
    if not isinstance(getattr(settings, "LMS_BADGES_CONFIG", {}), dict) or not isinstance(config.cloud_events, dict):
        return []
    wanted = config.cloud_events["publish"]
    if not isinstance(wanted, (list, tuple)) or not wanted:
        return []
    problems: list[CheckMessage] = [_unpublished(str(name)) for name in wanted if name not in cloud_events.PUBLISHED]
    source = config.cloud_events["source"]
    if not isinstance(source, str) or not source.strip() or not source.isprintable():
        message = "LMS_BADGES_CONFIG['cloud_events']['source'] is not text that can be the source of a CloudEvent."
        problems.append(Error(message, hint='"source": "lms-badges"', id="lms_badges.E012"))
    if problem := _bus_problem():
        problems.append(
            Warning(
                f"LMS_BADGES_CONFIG['cloud_events']['publish'] names event types, and {problem[0]}: the events wait in "
                "the outbox.",
                hint=problem[1],
                id="lms_badges.W013",
            )
        )
    return problems


@register("lms_badges")
def check_redis(**_: Any) -> list[CheckMessage]:
    """Report a host whose event bus is Redis, and that cannot use it."""
    names = [getattr(settings, name, None) for name in ("EVENT_BUS_PRODUCER", "EVENT_BUS_CONSUMER")]
    is_wanted = any(str(name).startswith(f"{bus.REDIS_PACKAGE}.") for name in names)
    if not is_wanted and not getattr(settings, URL_SETTING, None):
        return []
    return [
        (Error if number.startswith("E") else Warning)(
            f"The event bus of this host is Redis, and it cannot be used: {problem}",
            hint=remedy,
            id=f"lms_badges.{number}",
        )
        for number, problem, remedy in _redis_problems()
    ]


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


@register("lms_badges", Tags.database)
def check_collations(*, databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Look whether identifying text is compared byte by byte, in both apps. Asks the database, as the check above."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    return [
        Warning(
            f"{column} has the collation {collation}, which takes different texts for one: of two events or keys that "
            "differ by case, accents or spaces at the end, one is dropped as a duplicate.",
            hint=remedy,
            id="lms_badges.W010",
        )
        for column, collation, remedy in inexact_columns(apps.get_models())
    ]


@register("lms_badges", Tags.database)
def check_problems(*, databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report problems that outbox rows wait for. Asks the database, as the checks above."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        with transaction.atomic():
            problems = list(circuit.problems())
    except DatabaseError:
        return []
    return [
        Warning(
            f"Outbox rows of {name} wait until an operator corrects something: {message}",
            hint="Correct it, then choose Try again now on the admin page of circuits.",
            id="lms_badges.W018",
        )
        for name, message in problems
    ]


@register("lms_badges", Tags.database)
def check_own_event_types(*, databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report event types of this site that cannot be used. Asks the database, as the checks above."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        with transaction.atomic():
            unusable = event_types.unusable_rows()
    except DatabaseError:
        return []  # the table is not there yet, or it is an older one: migrate asks this before it begins
    return [
        Warning(
            f"The event type {name} of this site is left out: {reason}. No event of this type is taken, and templates "
            "that name it award nothing.",
            hint="Correct it on the admin page of event types, or make it inactive.",
            id="lms_badges.W014",
        )
        for name, reason in unusable
    ]


# --- published events ------------------------------------------------------------------------------------------------


def _unpublished(name: str) -> CheckMessage:
    known = list(cloud_events.PUBLISHED)
    near = difflib.get_close_matches(name, known, n=1)
    return Error(
        f"LMS_BADGES_CONFIG['cloud_events']['publish'] names {name!r}, and no event is published under this type.",
        hint=f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}.",
        id="lms_badges.E011",
    )


def _bus_problem() -> tuple[str, str] | None:
    """Return why nothing can be sent to the bus, and the remedy; None when the host is configured for it."""
    if bus.is_redis():
        found = next(_redis_problems(), None)
        return found and (found[1], found[2])
    if find_spec("confluent_kafka") is None or find_spec("edx_event_bus_kafka") is None:
        return "the Kafka client is not installed", "pip install 'lms-badges[kafka]'"
    if not getattr(settings, "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS", None):
        return "no broker is configured", f'EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "localhost:9092", or {URL_EXAMPLE}'
    return None


def _redis_problems() -> Iterator[tuple[str, str, str]]:
    """Yield what keeps Redis from being the bus: the number of the check, what is wrong, and the remedy."""
    if find_spec("redis") is None or find_spec("edx_event_bus_redis") is None:
        yield "W035", "the Redis client is not installed", INSTALL
    elif not getattr(settings, URL_SETTING, None):
        yield "W036", f"{URL_SETTING} is not set", URL_EXAMPLE
    else:
        try:
            make_client(getattr(settings, URL_SETTING), seconds=1)
        except RedisURLError as error:
            yield "E035", str(error).partition(". ")[0], URL_FORMS


# --- the dict ---------------------------------------------------------------------------------------------------------


def _field_problems() -> Iterator[CheckMessage]:
    wanted = config.user_lms_id_field
    if wanted and not has_user_field(str(wanted)):
        fields = [field.name for field in get_user_model()._meta.get_fields()]
        near = difflib.get_close_matches(str(wanted), fields, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else '"", when the host\'s users have no field for the LMS user id.'
        message = f"LMS_BADGES_CONFIG['user_lms_id_field'] is {wanted!r}, which is no field of the host's users."
        yield Error(message, hint=hint, id="lms_badges.E010")
    elif has_user_field(LMS_ID_FIELD) and user_lms_id_field() != LMS_ID_FIELD:
        yield Warning(
            f"The host's users have the field {LMS_ID_FIELD}, which is not used. "
            f"LMS_BADGES_CONFIG['user_lms_id_field'] is {wanted!r}. "
            "Somebody who changed their username at the LMS gets a second account.",
            hint=f"Remove 'user_lms_id_field'; {LMS_ID_FIELD} is then used.",
            id="lms_badges.W012",
        )


# --- event types -----------------------------------------------------------------------------------------------------


def _module_problem(module: str, reason: str) -> CheckMessage:
    return Error(
        f"The module {module} of LMS_BADGES_CONFIG['signal_modules'] cannot be imported: {reason}.",
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
    own = "For a signal of your own, name its module in LMS_BADGES_CONFIG['signal_modules']."
    hint = f"Did you mean {near[0]!r}? {own}" if near else own
    return Error(f"No installed package defines the event type {event_type!r}.", hint=hint, id="lms_badges.E002")


def _learner_problems(definition: event_types.EventDefinition) -> Iterable[CheckMessage]:
    if definition.learner_path is not None:
        return
    event_type, users = definition.type, definition.user_paths
    given = config.learner_paths.get(event_type) if isinstance(config.learner_paths, dict) else None
    if given is not None:
        message = f"LMS_BADGES_CONFIG['learner_paths'] says {given!r} for {event_type}: {_refusal(definition, given)}."
        yield Error(message, hint=_learner_hint(definition), id="lms_badges.E005")
    elif users:
        message = f"Events of type {event_type} name several users: {', '.join(users)}. Which one is the learner?"
        yield Error(message, hint=_learner_hint(definition), id="lms_badges.E003")
    else:
        yield Error(
            f"Events of type {event_type} do not say whom they are about: their data holds no UserData.",
            hint=_learner_hint(definition),
            id="lms_badges.E004",
        )


def _refusal(definition: event_types.EventDefinition, given: object) -> str:
    try:
        read_learner_path(str(given), shape=definition.shape, users=definition.user_paths)
    except LearnerPathError as error:
        return str(error)
    return "it cannot be used"


def _learner_hint(definition: event_types.EventDefinition) -> str:
    """Return a line to paste: a path to a UserData, else to an integer that looks like the id of a user."""
    integers = (path for path, kind in definition.shape.key_paths() if kind is Kind.INTEGER)
    paths = definition.user_paths or [path for path in integers if path.endswith("user_id")]
    if not paths:
        return (
            "Remove it from LMS_BADGES_CONFIG['events'], or name its path to a username or to an id of another system: "
            f'LMS_BADGES_CONFIG["learner_paths"] = {{"{definition.type}": "username:<path>"}}, or '
            '"external:<issuer>:<path>".'
        )
    others = "".join(f' or "{path}"' for path in paths[1:])
    line = f'LMS_BADGES_CONFIG["learner_paths"] = {{"{definition.type}": "{paths[0]}"}}'
    return f"{line}  # {others[1:]}" if others else line


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
