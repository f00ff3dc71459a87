"""
The plugin's settings: one dict, ``LMS_BADGES_CONFIG``, read when asked.

``DEFAULTS`` is the whole list of keys with their values when a host says nothing; a dict in the host's settings is
merged over a dict here, anything else replaces it. A provider's settings are in its own ``conf``.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from badges.common.config import Config, NumberOrNone

PASSING_STATUS = "org.openedx.learning.course.passing.status.updated.v1"
CCX_PASSING_STATUS = "org.openedx.learning.ccx.course.passing.status.updated.v1"

DEFAULTS: dict[str, Any] = {
    # Event types that rules may use. Receivers are connected to them, and consumers accept them.
    "events": [PASSING_STATUS, CCX_PASSING_STATUS],
    # The source of events that come without one: lines of a file, and messages of the bus without a ce_source header.
    # An event is identified by its source and its id together. This is what the LMS calls itself on the bus.
    "default_source": "openedx/lms/web",
    # Where the learner is found, for event types whose class holds several UserData: {type: "argument.attribute"}.
    "learner_paths": {},
    # Modules that define public signals of your own; they are imported at the start.
    "signal_modules": [],
    # The host's user field that holds the LMS user id. None: "lms_user_id", where the host's users have it. "": none.
    "user_lms_id_field": None,
    # Store configured events of a learner although no rule holds (near misses), to answer "why not".
    "keep_unmatched": False,
    # Days that stored payloads are kept after their event was processed.
    "payload_days": 14,
    # Days that the ids of decided events are kept; None: for ever. An event that arrives again after that is decided
    # again. So this must be longer than the bus keeps events, and older files of events must not be read again.
    "event_days": None,
    # Days that penalties of people without a learner are kept; None: for ever. What such a person had earned before a
    # penalty counts all the same if its event arrives after that.
    "penalty_days": NumberOrNone(180),
    # Days that events about a person are remembered, without personal data, for rules that look back: in general, and
    # for single types ({type: days}). 0: not at all.
    "event_log": {"days": 180, "types": {}},
    # Whether signals are received: those of the bus's own `consume_events`, and those sent in this process.
    "receivers": True,
    "rules": {
        # Key paths that rules may not use and the admin does not offer.
        "ignored_keypaths": [
            "user.id",
            "user.is_active",
            "user.pii",
            "user.pii.username",
            "user.pii.email",
            "user.pii.name",
            "course.display_name",
            "course.start",
            "course.end",
        ]
    },
    # Badges that end, where their template says so.
    "expiry": {
        # How many days before its end a badge is renewed when it is earned anew: the new credential replaces the old
        # one. It is at most half of the time for which the badge holds. 0: a badge can be earned again after its end.
        "renewal_days": 30,
    },
    # The public address of this host, "https://credentials.example.org", for links in mails to learners and for
    # the public addresses of badges. It is not guessed for mails: without it none is sent.
    "public_url": "",
    # Mails to learners about their badges, with the host's EMAIL_ settings. A learner can opt out of them.
    "mail": {
        # Tell learners that they have earned a badge.
        "awards": False,
        # How many days before a badge ends its learner is reminded, once; None: never.
        "reminder_days": None,
        # The sender; None: DEFAULT_FROM_EMAIL.
        "sender": None,
        # Seconds to wait for the mail server, unless EMAIL_TIMEOUT is set.
        "timeout": 30.0,
        # The attribute of the host's user that holds the code of the learner's language, such as "language" or
        # "profile.language"; None: mails are in LANGUAGE_CODE.
        "language_attribute": None,
    },
    # Activities of learners, and what they give.
    "engagement": {
        # XP by kind of activity: {kind: {"xp": 10, "per_point": 1, "per_card": 1, "most": 100}}; each key may be left
        # out. Quizzes give 1 for each point and at most 100, flashcards 1 for each card and at most 50.
        "xp": {},
        # Event types that are activities of a kind: {type: kind}.
        "events": {},
        # The IANA name of the zone in which days begin, for learners whose client names none. None: TIME_ZONE.
        "time_zone": None,
        # How many minutes the time of an activity may be ahead of the clock here.
        "minutes_ahead": 5,
    },
    "intake": {
        "batch_size": 500,
        # Bytes of stored text in one transaction, and of one event. MariaDB's max_allowed_packet is 16 MiB.
        "batch_bytes": 4 * 1024 * 1024,
        "event_bytes": 1024 * 1024,
        # Attempts before a single event that fails is a dead letter. Transient errors are not counted.
        "max_attempts": 5,
        # Seconds to wait for a database that is down before the process ends. Below Kafka's max.poll.interval.ms.
        "give_up_seconds": 240,
    },
    # Settings of the Kafka client of consume_badge_events, with librdkafka's names. They replace the plugin's own.
    # "session.timeout.ms" is how long the partitions of a killed consumer wait for another one. With a
    # "group.instance.id" of its own, each process gets its partitions back at once.
    "kafka_client": {},
    # Seconds after which a Redis entry that a consumer was given, and has not acknowledged, is taken over by another
    # consumer of its group. Longer than a batch takes; at least 1.
    "redis_claim_seconds": 60.0,
    # Topics whose messages are JSON and not Avro, named as for -t: CloudEvents, in the structured or the binary form.
    "json_topics": [],
    # Events for other services: JSON CloudEvents on the bus, one topic for each event type. The bus is that of
    # EVENT_BUS_PRODUCER; without one it is the bus that is configured, and Kafka before Redis.
    "cloud_events": {
        # Event types that are published: "stickers.stickerAssignedToUser.v1", "stickers.stickerRemovedFromUser.v1", and
        # "users.userRegistered.v1", of accounts that were registered here. An event is written down with what it tells.
        # What was written before a type is removed here is still published.
        "publish": [],
        # The source of these events.
        "source": "lms-badges",
    },
    # Events of other services about accounts: claims of badges, completed certifications, registrations.
    "flows": {
        # Whether anybody may register an account here (POST /api/users/v1/users): for hosts whose users are registered
        # nowhere else.
        "registration": False,
        # Whether a claim (users.stickerClaimed.v1) awards the badge. Otherwise it only counts.
        "claims_award": False,
        # The slug of the template that users.userRegistered.v1 gives, once to each learner; "": none.
        "welcome_badge": "",
        # The issuer of the learner identities that hold account ids of another service. "": an account id is always the
        # UUID of a learner.
        "account_issuer": "",
        # Hours that a completed certification or a registration waits for an account that is not known yet.
        "account_wait_hours": 72,
    },
    "delivery": {
        # True: a Celery task is sent by name when rows were written. False: the task badges.sweep or the command
        # badges_drain finds them. None: True when the host has a CELERY_BROKER_URL.
        "notify_workers": None,
        # How many rows a worker claims together.
        "batch_size": 50,
        # How many requests to providers a worker has on their way at the same time, at most. Each worker process has as
        # many threads and connections.
        "parallel": 20,
        # Seconds without a sign of a worker after which another worker takes its rows.
        "lease_seconds": 120,
        # Attempts before a row is a dead letter. With the delays below that takes about ten hours. What only shows that
        # the other side is down, or gets too many requests, does not count.
        "max_attempts": 24,
        "base_delay": 2.0,
        "max_delay": 3600.0,
        # Days after which a row is a dead letter when the other side was down all the time; None: never.
        "give_up_days": NumberOrNone(14),
        # After this many failures in a row, a provider is not asked for that many seconds. The seconds are also for an
        # answer "too many requests" that does not say how long to wait.
        "circuit_failures": 5,
        "circuit_seconds": 60.0,
        # When an operator has to correct something that many rows need, such as a token, one of them is tried again
        # after this many seconds.
        "problem_seconds": 600.0,
        # Seconds that a broker may take to confirm an announcement or a published event.
        "bus_timeout": 10.0,
        # Days that delivered rows are kept.
        "keep_days": 30,
    },
    # Long work that people ask for.
    "runs": {
        # Seconds that one step may take before another worker takes the run.
        "lease_seconds": 300,
        # Attempts at one step before the run fails. With the delays between them that takes about half an hour.
        "max_attempts": 12,
        # Days that closed runs are kept with their results; None: for ever.
        "keep_days": NumberOrNone(90),
    },
    # What is asked of providers from time to time.
    "providers": {
        # Hours after which a provider's list of events is read again, for webhooks that were missed; None: never.
        "sweep_hours": NumberOrNone(24),
        # Hours after which a provider's templates are read again; None: only when somebody asks for it.
        "sync_hours": NumberOrNone(24),
    },
    "rest_api": {
        # Dotted names of REST framework authentication classes. None: the session, and JWT where the host has it.
        "authentication": None,
        # For each user; None: no limit.
        "requests_per_minute": NumberOrNone(600),
        # Registrations of accounts, for each client address; None: no limit.
        "registrations_per_minute": NumberOrNone(10),
        # Webhooks at an address without a secret, for each client address; ten times as many of all clients together.
        # None: no limit.
        "webhooks_per_minute": NumberOrNone(60),
        # Of requests that send events: for each user; bytes of one body, and events in it. Then how many minutes the
        # time of an event may be ahead of the clock here.
        "event_requests_per_minute": 120,
        "event_body_bytes": 1024 * 1024,
        "events_per_request": 500,
        "event_minutes_ahead": 5,
    },
    # The pages for learners, and the public page of a credential.
    "pages": {
        # Where the pages are. It is read once, with the URLs of the host. Public addresses begin with it for years.
        "path": "badges/",
        # Who decides whether a badge has a public page. "learner": the learner does, badge by badge, and none has one
        # before that. "always": all badges have one. "never": none has.
        "sharing": "learner",
        # Whether the public page shows the name of the learner's account.
        "show_name": False,
        # Who gives the badges: the name and the address that public pages show. "": the name of this host; no address.
        "issuer_name": "",
        "issuer_url": "",
        # The number that LinkedIn has given to the organization. "": LinkedIn gets the name.
        "linkedin_organization": "",
        # Whether learners see the badges that they have not begun to earn.
        "list_templates": True,
        # Requests for public pages, for each client address; None: no limit. Behind proxies,
        # CLOSEST_CLIENT_IP_FROM_HEADERS of edx-django-utils says where the address is found. Several processes need a
        # shared cache.
        "public_requests_per_minute": NumberOrNone(60),
    },
    "retirement": {
        # Keys of the hashes by which retired people are recognised, newest first. SECRET_KEY and its fallbacks come
        # after them. A key that is removed lets late events bring back those who were retired while it was the first.
        "keys": [],
        # How the host's accounts of retired people begin, such as "retired_user__". The task badges.retire and the
        # command badges_retire --swept then retire their learners. None: the host calls the plugin for each person.
        "username_prefix": None,
    },
    # Keys that encrypt providers' secrets at rest, newest first; empty: derived from SECRET_KEY.
    "secret_keys": [],
}

# The dict of the host's own badges app. What it has under these names is a default here, and so are the sections of
# providers (their own ``conf``). It is never changed.
HOST_SETTING = "BADGES_CONFIG"
SHARED = ("events", "rules")

config = Config("LMS_BADGES_CONFIG", DEFAULTS, host_setting=HOST_SETTING, shared=SHARED)

LMS_ID_FIELD = "lms_user_id"

# More than any number of days that makes sense, and few enough for every moment.
MOST_DAYS = 36_500.0


def number_of_days(value: Any, default: float = 0.0) -> float:
    """Return a setting as a number of days from 0 to 36500; the default for what is no number. Checks report it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return default
    return min(max(float(value), 0.0), MOST_DAYS)


def user_lms_id_field() -> str | None:
    """Return the host's user field that holds the LMS user id; None when there is none, or it is not to be used."""
    given = config.user_lms_id_field
    if given is not None:
        return given or None
    return LMS_ID_FIELD if has_user_field(LMS_ID_FIELD) else None


def has_user_field(name: str) -> bool:
    """Whether the host's users have a field of this name."""
    return any(field.name == name for field in get_user_model()._meta.get_fields())
