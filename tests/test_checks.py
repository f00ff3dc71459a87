"""System checks: their exact messages, and when there are none."""

import re
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
from django.contrib.auth import get_user_model
from django.core.checks import ERROR, Error, Warning, run_checks
from openedx_events.tooling import OpenEdxPublicSignal

from badges import conf as badges_conf
from badges.catalog.models import EventType
from badges.checks import (
    check_cloud_events,
    check_config,
    check_engagement,
    check_events,
    check_host,
    check_own_event_types,
    check_problems,
    check_providers,
    check_redis,
)
from badges.common.config import NumberOrNone
from badges.conf import PASSING_STATUS, user_lms_id_field
from badges.outbox.models import Circuit, OutboxMessage
from credentials_config import checks as credentials_checks
from credentials_config import conf as credentials_conf
from tests.factories import NOON, WORKSHOP, make_event_type

ENROLLMENT = "org.openedx.learning.course.enrollment.created.v1"
GRADE = "org.openedx.learning.course.persistent_grade_summary.changed.v1"
DUEL = "com.acme.duel.fought.v1"
SETTINGS_PAGE = "The settings page of the documentation describes it."


@attrs.frozen
class Broken:
    """An event's data with an annotation of something that its module does not have."""

    what: "Missing"  # noqa: F821


def configure(settings, **given: object) -> None:
    settings.LMS_BADGES_CONFIG = given


def test_the_reference_host_is_clean():
    assert run_checks() == []


def test_no_event_types(settings):
    configure(settings, events=[])
    assert check_events() == [
        Error(
            "No event types are configured, so no badge can be earned.",
            hint=f'LMS_BADGES_CONFIG["events"] = ["{PASSING_STATUS}"]',
            id="lms_badges.E001",
        )
    ]


def test_an_event_type_that_nobody_defines(settings):
    configure(settings, events=[PASSING_STATUS, "org.openedx.learning.course.passing.status.update.v1"])
    assert check_events() == [
        Error(
            "No installed package defines the event type 'org.openedx.learning.course.passing.status.update.v1'.",
            hint=f"Did you mean {PASSING_STATUS!r}? "
            "For a signal of your own, name its module in LMS_BADGES_CONFIG['signal_modules'].",
            id="lms_badges.E002",
        )
    ]


def test_an_event_type_that_is_like_no_other(settings):
    configure(settings, events=["quux"])
    assert check_events() == [
        Error(
            "No installed package defines the event type 'quux'.",
            hint="For a signal of your own, name its module in LMS_BADGES_CONFIG['signal_modules'].",
            id="lms_badges.E002",
        )
    ]


def test_a_learner_who_could_be_one_of_two(settings, acme):
    configure(settings, events=[DUEL], signal_modules=[acme])
    assert check_events() == [
        Error(
            f"Events of type {DUEL} name several users: duel.winner, duel.loser. Which one is the learner?",
            hint=f'LMS_BADGES_CONFIG["learner_paths"] = {{"{DUEL}": "duel.winner"}}  # or "duel.loser"',
            id="lms_badges.E003",
        )
    ]


def test_the_line_to_paste_settles_who_is_the_learner(settings, acme):
    configure(settings, events=[DUEL], signal_modules=[acme])
    namespace = {"LMS_BADGES_CONFIG": dict(settings.LMS_BADGES_CONFIG)}
    exec(check_events()[0].hint, namespace)  # as an operator does
    settings.LMS_BADGES_CONFIG = namespace["LMS_BADGES_CONFIG"]
    assert check_events() == []


def test_an_event_type_that_is_about_nobody(settings):
    configure(settings, events=["org.openedx.learning.xblock.skill.verified.v1"])
    assert check_events() == [
        Error(
            "Events of type org.openedx.learning.xblock.skill.verified.v1 do not say whom they are about: "
            "their data holds no UserData.",
            hint="Remove it from LMS_BADGES_CONFIG['events'], or name its path to a username or to an id of another "
            "system: "
            'LMS_BADGES_CONFIG["learner_paths"] = '
            '{"org.openedx.learning.xblock.skill.verified.v1": "username:<path>"}, '
            'or "external:<issuer>:<path>".',
            id="lms_badges.E004",
        )
    ]


def test_an_event_type_with_the_id_of_a_user_only(settings):
    configure(settings, events=[GRADE])
    (problem,) = check_events()
    assert (problem.id, problem.hint) == (
        "lms_badges.E004",
        f'LMS_BADGES_CONFIG["learner_paths"] = {{"{GRADE}": "grade.user_id"}}',
    )
    configure(settings, events=[GRADE], learner_paths={GRADE: "grade.user_id"})
    assert check_events() == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("grade.percent_grade", "grade.percent_grade holds number; a path that begins so needs integer or UserData"),
        ("grade.userid", "the event has no grade.userid"),
        ("username:grade.user_id", "grade.user_id holds integer; a path that begins so needs text"),
        ("external:grade.user_id", "it needs an issuer of 1 to 255 characters: external:<issuer>:<path>"),
        ("email:grade.letter_grade", "it begins with none of username:, external:<issuer>: or the path itself"),
        (5, "the event has no 5"),
    ],
)
def test_a_learner_path_that_cannot_name_anybody(settings, path, reason):
    configure(settings, events=[GRADE], learner_paths={GRADE: path})
    (problem,) = check_events()
    assert problem.id == "lms_badges.E005"
    assert problem.msg == f"LMS_BADGES_CONFIG['learner_paths'] says {path!r} for {GRADE}: {reason}."


@pytest.mark.parametrize("path", ["username:grade.letter_grade", "external:https://a.example:grade.course_version"])
def test_a_learner_path_may_name_text(settings, path):
    configure(settings, events=[GRADE], learner_paths={GRADE: path})
    assert check_events() == []


def test_a_learner_path_that_leads_to_nobody(settings):
    configure(settings, events=[ENROLLMENT], learner_paths={ENROLLMENT: "enrollment.course"})
    assert check_events() == [
        Error(
            f"LMS_BADGES_CONFIG['learner_paths'] says 'enrollment.course' for {ENROLLMENT}: enrollment.course holds "
            "object; a path that begins so needs integer or UserData.",
            hint=f'LMS_BADGES_CONFIG["learner_paths"] = {{"{ENROLLMENT}": "enrollment.user"}}  '
            '# or "enrollment.created_by"',
            id="lms_badges.E005",
        )
    ]


@pytest.mark.parametrize(
    ("config", "place", "hint"),
    [
        ({"evnts": []}, "['evnts']", "Did you mean 'events'?"),
        ({"Events": []}, "['Events']", "Did you mean 'events'?"),
        ({"credly": {"use_sandbox": True}}, "['credly']['use_sandbox']", "Did you mean 'USE_SANDBOX'?"),
        ({"rules": {"xyz": []}}, "['rules']['xyz']", "Known are: ignored_keypaths."),
    ],
)
def test_a_key_that_nobody_reads(settings, config, place, hint):
    configure(settings, **config)
    assert check_config() == [
        Warning(f"LMS_BADGES_CONFIG{place} is not a known setting.", hint=hint, id="lms_badges.W011")
    ]


def test_keys_of_the_hosts_own_badges_app_are_no_mistake(settings):
    settings.BADGES_CONFIG = {
        "events": [PASSING_STATUS],
        "credly": {"CREDLY_BASE_URL": "https://credly.com/", "USE_SANDBOX": False},
        "accredible": {"ACCREDIBLE_BASE_URL": "https://dashboard.accredible.com/", "USE_SANDBOX": False},
        "rules": {"ignored_keypaths": ["user.id"]},
        "anything": "else",
    }
    assert check_config() == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"events": PASSING_STATUS}, "['events'] is text; it should be a list of texts."),
        ({"events": [5]}, "['events'] is a list of other things than texts; it should be a list of texts."),
        ({"keep_unmatched": "no"}, "['keep_unmatched'] is text; it should be True or False."),
        ({"payload_days": "14"}, "['payload_days'] is text; it should be a number."),
        ({"payload_days": True}, "['payload_days'] is True or False; it should be a number."),
        ({"rules": []}, "['rules'] is a list of texts; it should be a dict."),
        ({"credly": {"ORGANIZATIONS": []}}, "['credly']['ORGANIZATIONS'] is a list of texts; it should be a dict."),
    ],
)
def test_a_value_that_nobody_can_read(settings, config, message):
    configure(settings, **config)
    assert check_config() == [Error(f"LMS_BADGES_CONFIG{message}", hint=SETTINGS_PAGE, id="lms_badges.E007")]


def test_a_config_that_is_no_dict(settings):
    settings.LMS_BADGES_CONFIG = [PASSING_STATUS]
    assert check_config() == [
        Error("LMS_BADGES_CONFIG is not a dict.", hint="LMS_BADGES_CONFIG = {}", id="lms_badges.E007")
    ]
    assert check_events() == []


def test_a_signal_module_that_is_not_installed(settings):
    configure(settings, signal_modules=["acme_is_not_here.signals"])
    assert check_events() == [
        Error(
            "The module acme_is_not_here.signals of LMS_BADGES_CONFIG['signal_modules'] cannot be imported: "
            "ModuleNotFoundError: No module named 'acme_is_not_here'.",
            hint="Install the package that holds it, or remove the name.",
            id="lms_badges.E008",
        )
    ]


def test_an_event_class_that_cannot_be_read(settings, acme):
    OpenEdxPublicSignal("com.acme.broken.v1", {"broken": Broken})
    configure(settings, events=["com.acme.broken.v1"])
    assert check_events() == [
        Error(
            "The data of com.acme.broken.v1 cannot be read: tests.test_checks.Broken has an annotation "
            "that cannot be read: name 'Missing' is not defined.",
            id="lms_badges.E009",
        )
    ]


def test_a_user_field_that_the_host_does_not_have(settings):
    configure(settings, user_lms_id_field="usrname")
    assert check_config() == [
        Error(
            "LMS_BADGES_CONFIG['user_lms_id_field'] is 'usrname', which is no field of the host's users.",
            hint="Did you mean 'username'?",
            id="lms_badges.E010",
        )
    ]


def test_a_field_for_the_lms_id_that_is_there_and_not_used(settings, monkeypatch):
    field = SimpleNamespace(name="lms_user_id")
    fields = get_user_model()._meta.get_fields()
    monkeypatch.setattr(get_user_model()._meta, "get_fields", lambda: (*fields, field))
    assert (check_config(), user_lms_id_field()) == ([], "lms_user_id")
    configure(settings, user_lms_id_field="")
    (warning,) = check_config()
    assert warning.id == "lms_badges.W012"
    assert warning.hint == "Remove 'user_lms_id_field'; lms_user_id is then used."
    assert user_lms_id_field() is None


def test_the_hosts_own_badges_app(settings):
    warning = Warning(
        "The host's own badges app is switched on too: the same event may earn a learner two badges.",
        hint="BADGES_ENABLED = False",
        id="lms_badges.W001",
    )
    settings.BADGES_ENABLED = True
    assert check_host() == [warning]
    settings.BADGES_ENABLED = False
    assert check_host() == []
    del settings.BADGES_ENABLED
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.support.host_badges.HostBadges"]
    assert check_host() == [warning]
    settings.BADGES_ENABLED = False  # installed as in the real host, and switched off
    assert check_host() == []


def test_awards_that_do_not_reach_the_bus(settings):
    warning = Warning(
        "This host publishes on an event bus, and org.openedx.learning.badge.awarded.v1 is on none of its topics: "
        "awards are announced in the process only.",
        hint='EVENT_BUS_PRODUCER_CONFIG["org.openedx.learning.badge.awarded.v1"] = '
        '{"learning-badges-lifecycle": {"event_key_field": "badge.uuid", "enabled": True}}',
        id="lms_badges.W003",
    )
    awarded, topic = "org.openedx.learning.badge.awarded.v1", {"event_key_field": "badge.uuid"}
    settings.EVENT_BUS_PRODUCER = "edx_event_bus_kafka.create_producer"
    settings.EVENT_BUS_PRODUCER_CONFIG = {awarded: {"learning-badges-lifecycle": {**topic, "enabled": False}}}
    assert check_host() == [warning]
    settings.EVENT_BUS_PRODUCER_CONFIG = {}
    assert check_host() == [warning]
    settings.EVENT_BUS_PRODUCER_CONFIG = {
        awarded: {"off": {**topic, "enabled": False}, "on": {**topic, "enabled": True}}
    }
    assert check_host() == []
    settings.EVENT_BUS_PRODUCER_CONFIG = {}
    settings.EVENT_BUS_PRODUCER = None  # nobody publishes here
    assert check_host() == []


def test_a_broker_without_anybody_who_sweeps(settings):
    warning = Warning(
        "No beat entry runs the task badges.sweep: rows whose worker notification was lost stay there.",
        hint='CELERY_BEAT_SCHEDULE["badges-sweep"] = {"task": "badges.sweep", "schedule": 60.0}, '
        "or run manage.py badges_drain --forever",
        id="lms_badges.W002",
    )
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    settings.CELERY_BEAT_SCHEDULER = "celery.beat:PersistentScheduler"
    settings.CELERY_BEAT_SCHEDULE = {"other": {"task": "other.task", "schedule": 5.0}}
    assert check_host() == [warning]
    settings.CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
    assert check_host() == []
    settings.CELERY_BEAT_SCHEDULER = "celery.beat:PersistentScheduler"
    settings.CELERY_BEAT_SCHEDULE = {"mine": {"task": "badges.sweep", "schedule": 5.0}}
    assert check_host() == []
    settings.CELERY_BEAT_SCHEDULE = {}
    settings.CELERY_BROKER_URL = None
    assert check_host() == []


def test_an_event_that_is_not_published_here(settings):
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "kafka.example.org:9092"
    configure(settings, cloud_events={"publish": ["stickers.stickerAssignedToUser.v2"], "source": " "})
    assert check_cloud_events() == [
        Error(
            "LMS_BADGES_CONFIG['cloud_events']['publish'] names 'stickers.stickerAssignedToUser.v2', and no event is "
            "published under this type.",
            hint="Did you mean 'stickers.stickerAssignedToUser.v1'?",
            id="lms_badges.E011",
        ),
        Error(
            "LMS_BADGES_CONFIG['cloud_events']['source'] is not text that can be the source of a CloudEvent.",
            hint='"source": "lms-badges"',
            id="lms_badges.E012",
        ),
    ]


def test_events_that_are_to_be_published_without_a_broker(settings):
    configure(settings, cloud_events={"publish": ["stickers.stickerRemovedFromUser.v1"]})
    assert check_cloud_events() == [
        Warning(
            "LMS_BADGES_CONFIG['cloud_events']['publish'] names event types, and no broker is configured: the "
            "events wait in the outbox.",
            hint='EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "localhost:9092", or '
            'EVENT_BUS_REDIS_CONNECTION_URL = "redis://localhost:6379/0"',
            id="lms_badges.W013",
        )
    ]
    settings.EVENT_BUS_REDIS_CONNECTION_URL = "redis://localhost:6379/0"
    assert check_cloud_events() == []


REDIS_URL = 'EVENT_BUS_REDIS_CONNECTION_URL = "redis://localhost:6379/0"'


def test_a_host_on_redis_without_a_url(settings):
    settings.EVENT_BUS_CONSUMER = "edx_event_bus_redis.RedisEventConsumer"
    assert check_redis() == [
        Warning(
            "The event bus of this host is Redis, and it cannot be used: EVENT_BUS_REDIS_CONNECTION_URL is not set",
            hint=REDIS_URL,
            id="lms_badges.W036",
        )
    ]


def test_a_url_of_redis_that_cannot_be_used_is_told_without_its_password(settings):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = "redis://:s3cret@redis.example.org:port/0"
    (problem,) = check_redis()
    assert (problem.id, problem.level) == ("lms_badges.E035", ERROR)
    assert "EVENT_BUS_REDIS_CONNECTION_URL cannot be used (ValueError)" in problem.msg
    assert "s3cret" not in f"{problem.msg} {problem.hint}"


def test_a_host_on_redis_without_its_packages(settings, monkeypatch):
    settings.EVENT_BUS_PRODUCER = "edx_event_bus_redis.create_producer"
    monkeypatch.setattr("badges.checks.find_spec", lambda name: None)
    assert [(problem.id, problem.hint) for problem in check_redis()] == [
        ("lms_badges.W035", "pip install 'lms-badges[redis]'")
    ]


def test_a_host_that_does_not_use_redis_is_left_alone(settings):
    settings.EVENT_BUS_PRODUCER = "edx_event_bus_kafka.create_producer"
    assert check_redis() == []


@pytest.mark.parametrize("given", ["not a dict", {"publish": "stickers.stickerRemovedFromUser.v1"}, {"publish": []}])
def test_wrong_types_are_left_to_the_check_of_all_settings(settings, given):
    configure(settings, cloud_events=given)
    assert check_cloud_events() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_event_types_of_this_site_that_cannot_be_used():
    make_event_type()
    make_event_type(name="com.example.asleep.v1", is_active=False)
    make_event_type(name="com.example.fine.v1")
    assert check_own_event_types(databases=["default"]) == []
    rows = EventType.objects.filter(name__in=[WORKSHOP, "com.example.asleep.v1"])
    rows.update(learner_path="sensei")
    (problem,) = check_own_event_types(databases=["default"])
    assert (problem.id, problem.level) == ("lms_badges.W014", 30)
    assert problem.msg.startswith(f"The event type {WORKSHOP} of this site is left out: ")
    assert "inactive" in problem.hint
    EventType.objects.filter(name=WORKSHOP).update(schema="{")
    assert len(check_own_event_types(databases=["default"])) == 1
    assert check_own_event_types() == [], "without --database nothing is asked"


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_problems_that_rows_wait_for():
    Circuit.objects.create(name="credly:a", reason="outage", open_until=NOON, message="It is down.")
    Circuit.objects.create(name="credly:b", reason="problem", open_until=NOON, message="The token is not accepted.")
    Circuit.objects.create(name="credly:c", reason="problem", open_until=NOON, message="It was corrected.")
    for circuit in ("credly:a", "credly:b"):
        OutboxMessage.objects.create(
            channel="credly", key=circuit, type="issue", due_at=NOON, created_at=NOON, postponed_for=circuit
        )
    (problem,) = check_problems(databases=["default"])
    assert problem.id == "lms_badges.W018"
    assert problem.msg.endswith("credly:b wait until an operator corrects something: The token is not accepted.")
    assert check_problems() == [], "without --database nothing is asked"


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_before_the_tables_are_made_nothing_is_said_of_event_types(monkeypatch):
    monkeypatch.setattr(EventType._meta, "db_table", "lms_badges_that_is_not_there")
    assert check_own_event_types(databases=["default"]) == []


def test_rules_for_xp_that_are_wrong(settings):
    configure(settings, engagement={"xp": {"quiz": {"points": 1}}})
    assert check_engagement() == [
        Error(
            "LMS_BADGES_CONFIG['engagement']['xp']['quiz']['points'] is not known; known keys are xp, per_point, "
            "per_card, most.",
            hint="The page Give XP and streak badges of the documentation describes the rules.",
            id="lms_badges.E013",
        )
    ]


def test_a_time_zone_that_is_none(settings):
    for name in ("Mars/Olympus", 3):
        configure(settings, engagement={"time_zone": name})
        (problem,) = check_engagement()
        assert (problem.id, problem.hint) == ("lms_badges.E014", "Write an IANA name, such as Europe/Brussels.")


def test_event_types_that_cannot_be_activities(settings):
    configure(settings, engagement={"events": {PASSING_STATUS: "course", ENROLLMENT: "course", GRADE: ""}})
    enrollment, grade = check_engagement()
    assert (enrollment.id, enrollment.hint) == (
        "lms_badges.W015",
        f"Add {ENROLLMENT!r} to LMS_BADGES_CONFIG['events'].",
    )
    assert (grade.id, grade.hint) == ("lms_badges.E015", "Write text of 1 to 100 characters, such as 'course'.")


def test_settings_of_engagement_that_are_no_dict_are_reported_once(settings):
    configure(settings, engagement=[])
    assert [problem.id for problem in [*check_config(), *check_engagement()]] == ["lms_badges.E007"]


def test_error_pages_that_can_show_tokens_are_warned_of(settings) -> None:
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "django.views.debug.SafeExceptionReporterFilter"
    expected = Warning(
        "Error pages and the mails about errors can show the tokens of organizations that are in the settings.",
        hint='DEFAULT_EXCEPTION_REPORTER_FILTER = "badges.common.redaction.ErrorPageFilter", '
        "or a class of yours that inherits from it.",
        id="lms_badges.W030",
    )
    assert expected in check_host()
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "badges.common.redaction.ErrorPageFilter"
    assert expected not in check_host()


def test_organizations_of_the_settings_that_cannot_work(settings):
    right, oauth = "c0ffee00-0000-4000-8000-00000000c4ed", {"client_id": "a", "client_secret": "b"}
    configure(
        settings, credly={"ORGANIZATIONS": {right: "token", right[::-1]: oauth, "acme": "SECRET", right.upper(): ""}}
    )
    first, second = check_providers()
    assert (first.id, second.id) == ("lms_badges.E021", "lms_badges.E021")
    assert first.msg.startswith("The key of entry 3 of")
    assert "SECRET" not in first.msg
    assert "neither a token nor an OAuth2 client" in second.msg
    configure(settings, credly={"ORGANIZATIONS": {right: "token", right.upper(): oauth}})
    assert check_providers() == []


@pytest.mark.parametrize("wrong", [7, "token", ["x"]])
def test_organizations_that_are_no_dict_stop_nothing(settings, wrong):
    configure(settings, credly={"ORGANIZATIONS": wrong})
    assert [problem.id for problem in check_config()] == ["lms_badges.E007"]
    assert check_providers() == []


def test_an_address_without_a_secret_is_reported_while_it_is_switched_on(settings):
    configure(settings, credly={"webhook_without_secret": True})
    (problem,) = check_providers()
    assert (problem.id, problem.level) == ("lms_badges.W020", 30)


@pytest.mark.parametrize("hours", [-1, 1e9, float("nan")])
def test_hours_that_are_none(settings, hours):
    configure(settings, providers={"sweep_hours": hours, "sync_hours": 0})
    assert [problem.id for problem in check_providers()] == ["lms_badges.E020"]


def without_limits(defaults: dict) -> dict:
    """Return the settings that may be None instead of a number, all of them None."""
    found = {}
    for key, default in defaults.items():
        if isinstance(default, NumberOrNone):
            found[key] = None
        elif isinstance(default, dict) and (inner := without_limits(default)):
            found[key] = inner
    return found


def test_every_setting_that_may_be_none_says_so_and_passes_its_check(settings) -> None:
    for name, defaults, check in (
        ("LMS_BADGES_CONFIG", badges_conf.DEFAULTS, check_config),
        ("CREDENTIALS_CONFIG", credentials_conf.DEFAULTS, credentials_checks.check_config),
    ):
        given = without_limits(defaults)
        assert given["rest_api"]["requests_per_minute"] is None
        setattr(settings, name, {**given, "events": [PASSING_STATUS]} if name == "LMS_BADGES_CONFIG" else given)
        assert [problem for problem in check() if problem.id.endswith("E007") or "should be" in problem.msg] == []
    for conf in (badges_conf, credentials_conf):
        source = Path(conf.__file__).read_text()
        assert re.findall(r'#[^\n]*\bNone: [^\n]*(?:\n +#[^\n]*)*\n +"(\w+)": \d', source) == []
