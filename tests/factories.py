"""
Rows for tests. Templates are saved by ``badges.catalog.api``, so they have revisions.

All default values differ from each other, so that a test that swaps two of them fails.
"""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

import factory
from django.contrib.auth import get_user_model

from badges.awarding.models import CredentialStatus, UserCredential
from badges.catalog import own_event_types
from badges.catalog.api import save_template
from badges.catalog.causes import CauseKind
from badges.catalog.learner_template_ids import learner_template_id
from badges.catalog.models import BadgeTemplate, EventType
from badges.conf import PASSING_STATUS
from badges.history.models import LoggedEvent
from badges.intake.events import Event, parse_event
from badges.intake.models import InboxMessage, Learner
from badges.outbox.models import OutboxMessage
from badges.progress.models import BadgeProgress, Fulfillment
from badges.rules import event_digest
from badges.testing import events

NOON = dt.datetime(2026, 3, 14, 12, 0, tzinfo=dt.UTC)
# When templates were saved, unless a test says otherwise: before the events of all tests, which count for criteria.
SAVED = dt.datetime(2020, 2, 2, 20, 20, tzinfo=dt.UTC)
ALGEBRA = "course-v1:Demo+Algebra+2026"
GEOMETRY = "course-v1:Demo+Geometry+2026"

WORKSHOP = "com.example.workshop.attended.v1"

_numbers = count(1)

# The columns of a credential that was revoked because of an event.
REVOKED = {"status": "revoked", "active_key": None, "revoked_at": NOON, "revocation_kind": CauseKind.EVENT}

# The columns of a credential that has expired.
EXPIRED = {"status": "expired", "active_key": None, "valid_until": NOON, "ended_at": NOON}


def rule(path: str, operator: str, value: Any) -> dict[str, Any]:
    """Return a data rule of a pack."""
    return {"path": path, "operator": operator, "value": value}


def requirement(key: str = "pass", *, course: str | None = ALGEBRA, **given: Any) -> dict[str, Any]:
    """Return a requirement of a pack: passing a course, unless the arguments say otherwise."""
    rules = [rule("is_passing", "eq", True)]
    if course is not None:
        rules.append(rule("course.course_key", "eq", course))
    return {"key": key, "event_type": PASSING_STATUS, "rules": rules, **given}


def penalty(*keys: str, course: str | None = ALGEBRA, **given: Any) -> dict[str, Any]:
    """Return a penalty of a pack: failing a course resets requirements, unless the arguments say otherwise."""
    rules = [rule("is_passing", "eq", False)]
    if course is not None:
        rules.append(rule("course.course_key", "eq", course))
    return {"event_type": PASSING_STATUS, "requirements": list(keys or ["pass"]), "rules": rules, **given}


def template_entry(**given: Any) -> dict[str, Any]:
    """Return a template entry of a pack: active, one requirement, no issuer, unless the arguments say otherwise."""
    number = next(_numbers)
    defaults = {
        "slug": f"marsupilami-{number}",
        "name": f"Marsupilami {number}",
        "is_active": True,
        "requirements": [requirement()],
    }
    return defaults | given


def credly_issuer(organization: str = "0e0e0e0e-0000-4000-8000-00000000000a", template: str = "") -> dict[str, str]:
    """Return an issuer of a pack."""
    return {
        "provider": "credly",
        "organization": organization,
        "template": template or "7e7e7e7e-0000-4000-8000-00000000000b",
    }


def make_template(
    slug: str | None = None,
    /,
    *requirements: dict[str, Any],
    author: Any = None,
    now: dt.datetime = SAVED,
    **given: Any,
) -> BadgeTemplate:
    """
    Save a template by ``badges.catalog.api``, at the moment ``now``.

    ``make_template("star", {"key": "pass", "course": ALGEBRA}, …)`` demands these requirements: passing a course, or
    any course. The keywords are those of ``template_entry``; without arguments a template demands one course.
    """
    if slug is not None:
        demanded = [requirement(**{"course": None, **each}) for each in requirements]
        given = {"slug": slug, "name": f"The {slug} badge", "requirements": demanded, **given}
    saved = save_template(template_entry(**given), author=author, now=now)
    assert saved.stored is not None
    return saved.stored.template


def make_passing(**given: Any) -> Event:
    """Return the event of a learner who passes a course, as a consumer hands it over."""
    return parse_event(events.passing_status(**given).line, received_from="test")


def event_type_entry(**given: Any) -> dict[str, Any]:
    """Return an entry of an event type of this site: a workshop that somebody attended, for a number of minutes."""
    schema = {
        "type": "object",
        "properties": {
            "user_id": {"type": "integer"},
            "workshop": {"type": "string", "examples": ["knots"]},
            "minutes": {"type": "integer", "minimum": 0, "x-unit": "minutes"},
            "email": {"type": "string", "x-personal": True},
        },
        "required": ["user_id", "workshop"],
    }
    defaults = {"name": WORKSHOP, "title": "Workshop attended", "schema": schema, "learner_path": "user_id"}
    return defaults | given


def make_event_type(**given: Any) -> EventType:
    """Save an event type of this site by ``badges.catalog.own_event_types``."""
    return own_event_types.save_document(event_type_entry(**given), now=NOON).row


def workshop_event(id: str = "houba-1", **data: Any) -> dict[str, Any]:
    """Return an event as it is sent: somebody attended a workshop for 90 minutes."""
    data = {"user_id": 41, "workshop": "knots", "minutes": 90, "email": "ada@example.org"} | data
    return {"id": id, "type": WORKSHOP, "time": "2026-03-10T09:30:00Z", "data": data}


def workshop_requirement(key: str = "workshop", **rules: Any) -> dict[str, Any]:
    """Return a requirement: a workshop of at least an hour, or with other minimum values by key path."""
    rules = rules or {"minutes": 60}
    return {"key": key, "event_type": WORKSHOP, "rules": [rule(path, "gte", value) for path, value in rules.items()]}


class UserFactory(factory.django.DjangoModelFactory):
    """An account of the host."""

    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda number: f"houba{number}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@palombia.example")
    first_name = "Houba"
    last_name = factory.Sequence(lambda number: f"Palombia{number}")


class LearnerFactory(factory.django.DjangoModelFactory):
    """A learner with an account."""

    class Meta:
        model = Learner

    lms_user_id = factory.Sequence(lambda number: 5000 + number)
    user = factory.SubFactory(UserFactory)


class UserCredentialFactory(factory.django.DjangoModelFactory):
    """A credential that was awarded because of an event."""

    class Meta:
        model = UserCredential

    learner = factory.SubFactory(LearnerFactory)
    template = factory.LazyFunction(make_template)
    learner_template_id = factory.LazyAttribute(
        lambda credential: learner_template_id(credential.learner.pk, credential.template.pk)
    )
    revision = factory.LazyAttribute(lambda credential: credential.template.revisions.latest("number"))
    status = CredentialStatus.AWARDED
    awarded_at = NOON
    cause_kind = CauseKind.EVENT
    cause_event_source = "openedx/lms/web"
    cause_event_id = factory.Sequence(lambda number: f"0190e3c0-0000-7000-8000-{number:012d}")
    cause_event_type = PASSING_STATUS
    cause_event_time = NOON - dt.timedelta(seconds=90)


class BadgeProgressFactory(factory.django.DjangoModelFactory):
    """A learner who has begun a template."""

    class Meta:
        model = BadgeProgress

    learner = factory.SubFactory(LearnerFactory)
    template = factory.LazyFunction(make_template)
    id = factory.LazyAttribute(lambda progress: learner_template_id(progress.learner.pk, progress.template.pk))
    created_at = NOON - dt.timedelta(days=1)


class FulfillmentFactory(factory.django.DjangoModelFactory):
    """A requirement that was met because of an event."""

    class Meta:
        model = Fulfillment

    progress = factory.SubFactory(BadgeProgressFactory)
    requirement = factory.LazyAttribute(lambda fulfillment: fulfillment.progress.template.requirements.first())
    revision = factory.LazyAttribute(lambda fulfillment: fulfillment.progress.template.revisions.latest("number"))
    fulfilled_at = NOON
    cause_kind = CauseKind.EVENT
    cause_event_source = "openedx/lms/web"
    cause_event_id = factory.Sequence(lambda number: f"0190e3c0-0000-7000-9000-{number:012d}")
    cause_event_type = PASSING_STATUS
    cause_event_time = NOON - dt.timedelta(seconds=30)


class InboxMessageFactory(factory.django.DjangoModelFactory):
    """A pending event in the inbox."""

    class Meta:
        model = InboxMessage

    event_id = factory.Sequence(lambda number: f"0190e3c0-0000-7000-a000-{number:012d}")
    event_type = PASSING_STATUS
    event_time = NOON - dt.timedelta(seconds=10)
    lms_user_id = factory.Sequence(lambda number: 700_000 + number)
    payload = '{"data":{},"id":"1","time":"2026-03-14T11:59:50.000000Z","type":"t"}'
    source = "openedx/lms/web"
    received_from = "file:events.jsonl:17"
    state = "pending"
    due_at = NOON
    received_at = NOON


class LoggedEventFactory(factory.django.DjangoModelFactory):
    """An event of the event log."""

    class Meta:
        model = LoggedEvent

    person = factory.Sequence(lambda number: 800_000 + number)
    event_id = factory.Sequence(lambda number: f"0190e3c0-0000-7000-b000-{number:012d}")
    event_source = "openedx/lms/web"
    digest = factory.LazyAttribute(lambda event: event_digest(event.event_source, event.event_id))
    event_type = PASSING_STATUS
    occurred_at = NOON - dt.timedelta(seconds=10)
    received_at = NOON
    data = '{"course_passing_status":{"is_passing":true}}'


class OutboxMessageFactory(factory.django.DjangoModelFactory):
    """A pending row of the outbox."""

    class Meta:
        model = OutboxMessage

    channel = "announce"
    key = factory.Sequence(lambda number: str(800_000 + number))
    type = "badge.awarded"
    payload = '{"credential":"0190e3c0-0000-7000-b000-000000000000"}'
    state = "pending"
    due_at = NOON
    created_at = NOON
