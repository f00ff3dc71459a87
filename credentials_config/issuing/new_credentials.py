"""The rows of people who get a credential: learners and credentials, in bulk. Each person gets one."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Sequence
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction

from badges import api as badges
from badges.exceptions import EventError, Permanent, Retryable
from credentials_config import lms
from credentials_config.conf import config
from credentials_config.contracts import Context, Person
from credentials_config.issuing.codes import new_code
from credentials_config.issuing.document_context import document_context, document_name
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, CredentialStatus
from credentials_config.schedules import expires_at

log = logging.getLogger(__name__)

_LANGUAGE = re.compile(r"[\w@.-]{1,35}", re.ASCII)
_UNIQUE_FIELDS = ["learner", "configuration", "active_key"]


def languages_of(people: Sequence[Person]) -> dict[int, str]:
    """
    Return the languages of people by LMS user id, as far as they are known.

    They decide only the language of dates and mails, so an LMS that does not answer is no error.
    """
    known = {person.lms_user_id: person.language for person in people if person.language}
    unknown = [person for person in people if not person.language]
    if unknown and config.issuing["learner_languages"]:
        try:
            known |= lms.client().languages(unknown)
        except (Retryable, Permanent) as error:
            log.info("Learners' languages are not known, so the host's is used: %s", error)
    # A preference may hold any text. One that is no language must not keep the rows of others from being written.
    return {lms_user_id: language for lms_user_id, language in known.items() if _LANGUAGE.fullmatch(language)}


def write(
    configuration: CredentialConfiguration,
    people: Sequence[Person],
    context: Context,
    languages: dict[int, str],
    *,
    now: dt.datetime,
    run: CredentialRun | None = None,
) -> list[Person]:
    """
    Write a credential ``generating`` for each of these people, due at once.

    Nothing is written for people who have an active one. Must be called in a transaction. Returns the people who got
    none: they were retired (``retired_among``), or the host has no account for them, since their username belongs to
    another LMS user or the database refuses it.
    """
    learners = _get_or_create_learners(people)
    rows = [
        Credential(
            verification_code=new_code(),
            learner=learners[person.lms_user_id],
            configuration=configuration,
            run=run,
            status=CredentialStatus.GENERATING,
            language=languages.get(person.lms_user_id, ""),
            learner_name=document_name(person),
            context_name=document_context(context.name, context.key),
            issued_at=now,
            expires_at=expires_at(now, valid_days=configuration.valid_days, valid_until=configuration.valid_until),
            due_at=now,
        )
        for person in people
        if person.lms_user_id in learners
    ]
    _insert(sorted(rows, key=lambda row: row.learner_id))
    return [person for person in people if person.lms_user_id not in learners]


def retired_among(people: Sequence[Person]) -> set[int]:
    """Return the LMS user ids of those people who were retired here. The LMS may still list them."""
    found = badges.retired_among(map(_learner_data, people)) if people else set()
    return {person.lms_user_id for person in people} & found


def _insert(rows: list[Credential]) -> None:
    """One statement (SQLite may split it). By a unique constraint, people keep the active credential that they have."""
    if rows:
        targeted = connection.features.supports_update_conflicts_with_target
        Credential.objects.bulk_create(
            rows,
            update_conflicts=True,
            update_fields=["active_key"],  # to the value it has. Not IGNORE, which hides real errors on MariaDB
            unique_fields=_UNIQUE_FIELDS if targeted else None,
        )


def _get_or_create_learners(people: Sequence[Person]) -> dict[Any, Any]:
    """Return the learners by LMS user id, without those that the database refuses or takes for another person."""
    if not people:
        return {}
    try:
        with transaction.atomic():
            return badges.get_or_create_learners(map(_learner_data, people))
    except (EventError, DataError, IntegrityError, ValueError) as error:
        if len(people) == 1:
            log.warning("The database refuses a learner (%s)", type(error).__name__)
            return {}
        half = len(people) // 2
        return {**_get_or_create_learners(people[:half]), **_get_or_create_learners(people[half:])}


def _learner_data(person: Person) -> badges.LearnerData:
    return badges.LearnerData(
        lms_user_id=person.lms_user_id,
        is_active=True,
        username=person.username,
        email="" if "\0" in person.email else person.email,
        name=document_name(person) if person.name else "",
    )
