"""The plugin's door for Python code of the host and of other plugins. Everything not listed here is private."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from badges import explanations
from badges.awarding.models import ACTIVE, UserCredential
from badges.catalog.event_types import LearnerData
from badges.catalog.models import BadgeTemplate
from badges.conf import config
from badges.database import retry_transient
from badges.explanations import Explanation
from badges.intake import inbox, learners
from badges.intake.events import Event
from badges.intake.models import Learner
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage, notify_worker_on_commit
from badges.pipeline import BatchResult, process_pending, receive
from badges.progress.models import BadgeProgress
from badges.progress.reading import report, with_reports

__all__ = [
    "BatchResult",
    "Event",
    "Explanation",
    "LearnerData",
    "Person",
    "credentials_of",
    "enqueue",
    "enqueue_all",
    "explain",
    "get_or_create_learners",
    "holders_of",
    "learner_of",
    "notify_worker_on_commit",
    "process_pending",
    "progress_of",
    "receive",
    "report",
    "retire",
    "undelivered",
    "with_reports",
]

# A person: a learner, the host's user, an LMS user id, or text as in addresses (digits are an LMS user id, else it is a
# username).
Person = Learner | AbstractBaseUser | int | str


def credentials_of(person: Person, *, template: str | None = None) -> QuerySet[UserCredential]:
    """Return the credentials of a person, newest first, revoked ones too; of one template (slug) if given."""
    rows = UserCredential.objects.filter(_about(person)).select_related("learner__user", "template")
    return rows if template is None else rows.filter(template__slug=template)


def holders_of(template: str) -> QuerySet[UserCredential]:
    """Return the active credentials of a template (slug), newest first: who holds it."""
    rows = UserCredential.objects.filter(template__slug=template, active_key=ACTIVE)
    return rows.select_related("learner__user", "template")


def progress_of(person: Person, *, template: str | None = None) -> QuerySet[BadgeProgress]:
    """
    Return how far a person is, latest begun first; of one template (slug) if given.

    Ask ``report(row)`` of each row: its groups of requirements, and what fulfils them.
    """
    rows = with_reports(BadgeProgress.objects.filter(_about(person)).select_related("learner__user", "template"))
    return rows if template is None else rows.filter(template__slug=template)


def learner_of(person: Person) -> Learner | None:
    """Return the learner a person is; None for somebody of whom nothing is known here."""
    return Learner.objects.filter(_named(person)).select_related("user").first()


def get_or_create_learners(people: Iterable[LearnerData]) -> dict[int, Learner]:
    """
    Find or create the learners of people the LMS names, by LMS user id; at most eight statements for any number.

    Existing accounts are not changed. Whoever cannot be told apart (their username belongs to another LMS user id) is
    missing from the answer. Raises EventError when the host's database equates two usernames, and IntegrityError when
    it refuses an account for another reason, such as an e-mail address that has to be unique.
    """
    people = list(people)
    try:
        return _get_or_create(people)
    except IntegrityError:
        # Somebody else made what we were about to make. Whoever looks again finds it there.
        return _get_or_create(people)


def _get_or_create(people: Sequence[LearnerData]) -> dict[int, Learner]:
    lookup = learners.look_up(people)
    wanted = [person.lms_user_id for person in people if lookup.identifies(person.lms_user_id)]
    with transaction.atomic():
        return learners.get_or_create(lookup, wanted) if wanted else {}


def retire(person: Person, *, now: dt.datetime | None = None) -> bool:
    """
    Forget who a person is, in every table of this app; returns whether anything was known.

    Progress and credentials stay, as those of a learner without a name. Waiting deliveries build their words from ids,
    so they find nobody and become dead letters. The host's account, and badges at providers, are the host's to remove.
    """
    now = now or timezone.now()
    # A consumer writes an event before it locks the learner and we forget it afterwards, so the two can wait for each
    # other. Whoever is told to give way begins again; inside of a transaction of the caller's that is the caller.
    return retry_transient(lambda: _retire(person, now))


def _retire(person: Person, now: dt.datetime) -> bool:
    with transaction.atomic():
        learner = Learner.objects.select_for_update().filter(_named(person)).first()
        if learner is None:
            return False
        if learner.lms_user_id is not None:
            inbox.forget_learner(learner.lms_user_id, now=now)
        learners.retire(learner)
    return True


def explain(person: Person, template: str) -> Explanation:
    """
    Return why a person did or did not get a template's (slug) badge: demands, causes, what events said to each rule.

    Somebody who never met a requirement is known by LMS user id only. Raises BadgeTemplate.DoesNotExist.
    """
    known = BadgeTemplate.objects.get(slug=template)
    return explanations.explain(learner_of(person), known, lms_user_id=_lms_user_id(person))


def enqueue(channel: str, key: str, payload: Mapping[str, Any], *, type: str = "") -> None:
    """
    Write down that something must happen outside; the channel (entry point ``badges.channels``) delivers it.

    Must be called in a transaction, the one of the decision that demands it. ``key`` orders: messages of one channel
    and key are delivered in turn. ``payload`` holds ids and slugs only, no personal data.
    """
    enqueue_all(channel, [(key, payload)], type=type)


def enqueue_all(channel: str, messages: Iterable[tuple[str, Mapping[str, Any]]], *, type: str = "") -> None:
    """Write many messages (key, payload) of one channel as ``enqueue`` does one: a single statement."""
    mailbox.post(
        NewMessage(channel=channel, key=key, type=type or channel, payload=payload) for key, payload in messages
    )


def undelivered(channel: str) -> Iterator[dict[str, Any]]:
    """Yield the payloads of a channel's messages that were not delivered, oldest first: waiting and dead letters."""
    yield from mailbox.undelivered(channel)


def _about(person: Person) -> Q:
    return _named(person, "learner__")


def _lms_user_id(person: Person) -> int | None:
    """Return the LMS user id that names a person, or that the host keeps of them."""
    if isinstance(person, AbstractBaseUser):
        field = config.user_lms_id_field
        person = str(getattr(person, field)) if field else ""
    text = str(person)
    if isinstance(person, Learner) or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def _named(person: Person, prefix: str = "") -> Q:
    if isinstance(person, Learner):
        return Q(**{f"{prefix}pk": person.pk})
    if isinstance(person, AbstractBaseUser):
        return Q(**{f"{prefix}user": person.pk})
    text: Any = str(person)
    if text.isascii() and text.isdigit():
        return Q(**{f"{prefix}lms_user_id": int(text)})
    if "\0" in text:  # nobody's name, and PostgreSQL would refuse the question
        return Q(pk__in=[])
    return Q(**{f"{prefix}user__{get_user_model().USERNAME_FIELD}": text})
