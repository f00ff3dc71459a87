"""Find the people that the rows of a file name, many at once."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction

from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import PersonKey
from badges.conf import user_lms_id_field
from badges.intake import learners
from badges.intake.models import Learner

UUID_LENGTH = 36  # with hyphens, the only form that is taken for a UUID
TOO_MANY_DIGITS = 20  # the largest number of 63 bits has 19


class FoundPerson(NamedTuple):
    """A learner, or an account of the host that has no learner yet. One of the two ids is None."""

    learner_id: int | None
    account_id: Any = None


def find(names: Iterable[str]) -> dict[str, FoundPerson]:
    """
    Return who is meant by each name; who is unknown or was retired is missing. At most five statements.

    A UUID is a learner's, digits are an LMS user id, the rest is a username of the host, compared exactly.
    """
    keys = {name: _key(name) for name in names}
    by_uuid = _by_uuid({key for key in keys.values() if isinstance(key, uuid.UUID)})
    lookup = learners.look_up(_learner_data(key) for key in keys.values() if isinstance(key, int | str))
    found: dict[str, FoundPerson] = {}
    for name, key in keys.items():
        if isinstance(key, uuid.UUID):
            person = FoundPerson(by_uuid[key]) if key in by_uuid else None
        else:
            person = _in_lookup(key, lookup) if key is not None else None
        if person is not None:
            found[name] = person
    return found


def create_learners(account_ids: Collection[Any]) -> dict[Any, int]:
    """
    Return the ids of the learners of accounts, by account id; who has none gets one.

    An account is missing if it is gone, if its person was retired, or if its LMS user id belongs to somebody else. At
    most nine statements, in a transaction of its own or in the caller's.
    """
    users = get_user_model()._default_manager.in_bulk(list(account_ids))
    try:
        return _create_learners(users)
    except IntegrityError:
        # Another process has just created one of them. The second attempt finds it.
        return _create_learners(users)


def _create_learners(users: Mapping[Any, AbstractBaseUser]) -> dict[Any, int]:
    people = {pk: _data_of_account(user) for pk, user in users.items()}
    lookup = learners.look_up(people.values())
    wanted = [person.key for person in people.values() if lookup.identifies(person.key)]
    if not wanted:
        return {}
    with transaction.atomic():
        found = learners.get_or_create(lookup, wanted)
    return {
        pk: found[person.key].pk
        for pk, person in people.items()
        if person.key in found and found[person.key].user_id == pk
    }


def _key(name: str) -> PersonKey | uuid.UUID | None:
    """Return a name as it is looked up; None for one that nobody can have."""
    if "\0" in name:
        return None
    if name.isascii() and name.isdigit():
        return int(name) if len(name) < TOO_MANY_DIGITS else None
    try:
        return uuid.UUID(name) if len(name) == UUID_LENGTH else name
    except ValueError:
        return name


def _by_uuid(uuids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    if not uuids:
        return {}
    known = Learner.objects.filter(uuid__in=uuids).exclude(lms_user_id=None, user=None).order_by()
    return dict(known.values_list("uuid", "pk"))


def _in_lookup(key: PersonKey, lookup: learners.LearnerLookup) -> FoundPerson | None:
    if key in lookup.known:
        return FoundPerson(lookup.known[key].pk)
    if key in lookup.unbound:
        return FoundPerson(lookup.unbound[key].pk)
    return FoundPerson(None, lookup.users[key].pk) if key in lookup.users else None


def _learner_data(key: int | str) -> LearnerData:
    if isinstance(key, int):
        return LearnerData(key, is_active=True, username=None, email=None, name=None)
    return LearnerData(None, is_active=True, username=key, email=None, name=None)


def _data_of_account(user: AbstractBaseUser) -> LearnerData:
    field = user_lms_id_field()
    text = str(getattr(user, field)) if field else ""
    number = int(text) if text.isascii() and text.isdigit() else None
    return LearnerData(number, is_active=True, username=user.get_username(), email=None, name=None)
