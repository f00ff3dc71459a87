"""Writing down who gets a credential: learners and rows, in bulk, each once."""

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
_ONCE = ["learner", "configuration", "active_key"]


def languages_of(people: Sequence[Person]) -> dict[int, str]:
    """Return people's languages as far as they are known; nothing depends on them but words."""
    known = {person.lms_user_id: person.language for person in people if person.language}
    strangers = [person for person in people if not person.language]
    if strangers and config.issuing["learner_languages"]:
        try:
            known |= lms.client().languages(strangers)
        except (Retryable, Permanent) as error:
            log.info("Learners' languages are not known, so the host's is used: %s", error)
    # Anything may stand in a preference; what is no language must not keep the others' rows from being written.
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
    Write a row ``generating`` for each of these people, due at once; who has an active one already is left alone.

    Must run in a transaction. Returns the people who cannot be told apart from somebody else, and so got none.
    """
    learners = _admit(people)
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


def _insert(rows: list[Credential]) -> None:
    """One statement (SQLite may split it); whoever has an active credential keeps it, which the database says."""
    if rows:
        targeted = connection.features.supports_update_conflicts_with_target
        Credential.objects.bulk_create(
            rows,
            update_conflicts=True,
            update_fields=["active_key"],  # to what it is: not IGNORE, which swallows real errors on MariaDB
            unique_fields=_ONCE if targeted else None,
        )


def _admit(people: Sequence[Person]) -> dict[int, Any]:
    """Find or create the learners; whoever the database cannot hold, or equates with another, stays out alone."""
    if not people:
        return {}
    try:
        with transaction.atomic():
            return badges.get_or_create_learners(map(_learner_data, people))
    except (EventError, DataError, IntegrityError, ValueError) as error:
        if len(people) == 1:
            log.warning("A learner cannot be admitted (%s)", type(error).__name__)
            return {}
        half = len(people) // 2
        return {**_admit(people[:half]), **_admit(people[half:])}


def _learner_data(person: Person) -> badges.LearnerData:
    return badges.LearnerData(
        lms_user_id=person.lms_user_id,
        is_active=True,
        username=person.username,
        email="" if "\0" in person.email else person.email,
        name=document_name(person) if person.name else "",
    )
