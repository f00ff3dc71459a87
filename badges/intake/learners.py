"""
Find and create the learners of a whole batch.

A learner is found by the LMS user id, then by the host's own field for it if one is configured
(``LMS_BADGES_CONFIG["user_lms_id_field"]``), then by the username. Existing accounts are never overwritten from event
data. ``look_up`` only reads. ``get_or_create`` creates who is missing, when the pipeline has decided that the event
matters.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError
from django.db.models import BigIntegerField, Exists, Model, Value
from django.db.models.functions import Cast

from badges.catalog.event_types import LearnerData
from badges.conf import user_lms_id_field
from badges.exceptions import EventError
from badges.intake import retired
from badges.intake.models import Learner, RetiredPerson

log = logging.getLogger(__name__)

USERNAME_TAKEN = (
    "The username of this event belongs to another LMS user here. Correct the account or its LMS user id, "
    "then retry this message."
)
INVALID_LMS_USER_ID = (
    "The LMS user id of this event is not one: ids are positive and have at most 63 bits. Correct its sender."
)
UNUSABLE_USERNAME = (
    "The username of this event is empty or longer than the host's field allows; no account can be made."
)
EQUATED_USERNAME = (
    "The host's database takes the username of this event for another account's (its collation ignores case or "
    "accents). Give the username column a binary collation, then retry this message."
)


@dataclass
class LearnerLookup:
    """
    What is known about the people of a batch, by LMS user id.

    - ``known`` have a learner.
    - ``users`` have an account of the host, but no learner yet.
    - ``new_people`` have neither.
    - ``unbound`` have a learner whose LMS user id is not set yet.
    - ``refused`` cannot be identified. Their events become dead letters with this reason.
    - ``retired`` have left. Their events are ignored.

    An LMS user id that is in none of them is ignored: there is no row for it here, and the event has no username.
    ``equates`` is true when the database found other usernames than it was asked for.
    """

    known: set[int] = field(default_factory=set)
    users: dict[int, AbstractBaseUser] = field(default_factory=dict)
    new_people: dict[int, LearnerData] = field(default_factory=dict)
    unbound: dict[int, Learner] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    retired: set[int] = field(default_factory=set)
    equates: bool = False

    def identifies(self, lms_user_id: int) -> bool:
        """Return whether there is a learner for this LMS user id, or can be one."""
        return any(lms_user_id in people for people in (self.known, self.users, self.new_people, self.unbound))


def look_up(people: Iterable[LearnerData], *, bystanders: Iterable[int] = ()) -> LearnerLookup:
    """
    Find the learners and accounts of a batch; at most three statements, whatever its size.

    ``bystanders``: LMS user ids of people of whom only is asked whether they were retired.
    """
    wanted: dict[int, LearnerData] = {}
    for person in people:
        # Several events of a batch may be about one person, some with personal data and some without.
        if person.lms_user_id not in wanted or wanted[person.lms_user_id].username is None:
            wanted[person.lms_user_id] = person
    lookup = LearnerLookup()
    lookup.refused = {lms_id: INVALID_LMS_USER_ID for lms_id in wanted if not _is_id(lms_id)}
    for lms_id in lookup.refused:
        del wanted[lms_id]
    others = {lms_id for lms_id in bystanders if _is_id(lms_id)}
    if not wanted and not others:
        return lookup
    _find_known_and_retired(wanted, others, lookup)
    gone = lookup.known | lookup.retired
    unknown = {lms_id: person for lms_id, person in wanted.items() if lms_id not in gone}
    if unknown and (field_name := user_lms_id_field()):
        _match_host_field(unknown, lookup, field_name)
    if unknown:
        _match_usernames(unknown, lookup)
    return lookup


def retire(learner: Learner) -> None:
    """Remove the LMS user id and the account from a learner. The caller has locked the row."""
    Learner.objects.filter(pk=learner.pk).update(lms_user_id=None, user=None)


def _is_id(lms_user_id: int) -> bool:
    """Return whether a number can be an LMS user id: positive, and at most 63 bits."""
    return 0 < lms_user_id < 2**63


def get_or_create(lookup: LearnerLookup, lms_user_ids: Iterable[int]) -> dict[int, Learner]:
    """
    Create the learners that are missing, lock all of them in the order of their ids, and return them by LMS user id.

    ``lms_user_ids`` are those that ``lookup`` identifies. Must run in a transaction. At most five statements.

    Raises EventError when the database equates two usernames. The pipeline then splits the batch until that event
    stands alone. Raises IntegrityError when another process has just created or retired one of these people. Whoever
    looks up again finds the result of that.

    There is no upsert here. On MariaDB it would react to every unique column, and could give an account or a learner to
    another person.
    """
    wanted = set(lms_user_ids)
    accounts = {lms_id: user for lms_id, user in lookup.users.items() if lms_id in wanted}
    new_people = {lms_id: person for lms_id, person in lookup.new_people.items() if lms_id in wanted}
    if new_people and lookup.equates:
        raise EventError(EQUATED_USERNAME)
    accounts |= _create_accounts(new_people)
    Learner.objects.bulk_create(
        Learner(lms_user_id=lms_id, user_id=user.pk) for lms_id, user in sorted(accounts.items())
    )
    unbound = {lms_id: learner for lms_id, learner in lookup.unbound.items() if lms_id in wanted}
    for lms_id, learner in unbound.items():
        learner.lms_user_id = lms_id
    if unbound:
        Learner.objects.bulk_update(unbound.values(), ["lms_user_id"])
    locked = Learner.objects.select_for_update().filter(lms_user_id__in=wanted).order_by("id")
    if accounts or unbound:
        # A retirement writes its hash before it inserts the learner. Whoever has inserted the learner sees the hash.
        changed = retired.digests_of(accounts | unbound)
        locked = locked.annotate(is_retired=Exists(RetiredPerson.objects.filter(digest__in=changed)))
    found = {learner.lms_user_id: learner for learner in locked if learner.lms_user_id is not None}
    if len(found) < len(wanted) or any(getattr(learner, "is_retired", False) for learner in found.values()):
        raise IntegrityError("A learner was retired since they were looked up.")
    return found


def _find_known_and_retired(wanted: Iterable[int], others: set[int], lookup: LearnerLookup) -> None:
    """Find who has a learner and who was retired; one statement."""
    wanted = set(wanted)
    digests = retired.digests_of(wanted | others)
    learners = Learner.objects.filter(lms_user_id__in=wanted).order_by().annotate(digest=Value(""))
    gone = RetiredPerson.objects.filter(digest__in=digests).order_by()
    gone = gone.annotate(lms_user_id=Cast(Value(None), BigIntegerField()))
    columns = ("lms_user_id", "digest")
    for lms_id, digest in learners.values_list(*columns).union(gone.values_list(*columns), all=True):
        if digest:
            lookup.retired.add(digests[digest])
        else:
            lookup.known.add(lms_id)
    lookup.known -= lookup.retired


def _match_host_field(unknown: dict[int, LearnerData], lookup: LearnerLookup, name: str) -> None:
    users = get_user_model()._default_manager.filter(**{f"{name}__in": list(unknown)})
    # If two accounts have the same id, the older one is always used.
    for user in users.select_related("badges_learner").order_by("pk"):
        # Hosts store this id as number or as text.
        lms_id = int(getattr(user, name))
        if unknown.pop(lms_id, None) is not None:
            _use_account(user, lms_id, lookup)


def _match_usernames(unknown: dict[int, LearnerData], lookup: LearnerLookup) -> None:
    User: Any = get_user_model()
    names = {person.username for person in unknown.values() if person.username}
    found = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": names}).select_related("badges_learner")
    accounts = {user.get_username(): user for user in found.order_by()} if names else {}
    lookup.equates = not accounts.keys() <= names
    longest = User._meta.get_field(User.USERNAME_FIELD).max_length or 255
    taken: set[str] = set()
    for lms_id, person in sorted(unknown.items()):
        if person.username is None:
            continue
        if not person.username or len(person.username) > longest:
            lookup.refused[lms_id] = UNUSABLE_USERNAME
        elif person.username in taken:
            lookup.refused[lms_id] = USERNAME_TAKEN
        elif person.username in accounts:
            _use_account(accounts[person.username], lms_id, lookup)
        else:
            lookup.new_people[lms_id] = person
        taken.add(person.username)


def _use_account(user: AbstractBaseUser, lms_id: int, lookup: LearnerLookup) -> None:
    """Note what an account of the host is for this LMS user id: known, to be bound, to get a learner, or refused."""
    learner = getattr(user, "badges_learner", None)
    field_name = user_lms_id_field()
    bound_elsewhere = field_name and getattr(user, field_name) not in (None, "", lms_id, str(lms_id))
    if learner is not None and learner.lms_user_id == lms_id:
        lookup.known.add(lms_id)  # another process created the learner after the first statement
    elif bound_elsewhere or (learner is not None and learner.lms_user_id is not None):
        lookup.refused[lms_id] = USERNAME_TAKEN
    elif learner is not None:
        lookup.unbound[lms_id] = learner
    else:
        lookup.users[lms_id] = user


def _create_accounts(new_people: dict[int, LearnerData]) -> dict[int, AbstractBaseUser]:
    """Create accounts without a usable password; return them by LMS user id; two statements."""
    if not new_people:
        return {}
    User: Any = get_user_model()
    people = sorted(new_people.items(), key=lambda item: item[1].username or "")
    User._default_manager.bulk_create(_account_of(User, lms_id, person) for lms_id, person in people)
    names = {person.username for _, person in people}
    # Read again, because not every database returns the ids of several inserted rows.
    rows = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": names}).order_by()
    by_name = {user.get_username(): user for user in rows}
    return {lms_id: by_name[person.username] for lms_id, person in new_people.items()}


def _account_of(User: Any, lms_id: int, person: LearnerData) -> Model:
    columns: dict[str, Any] = {
        User.USERNAME_FIELD: person.username,
        "password": make_password(None),
        "is_active": person.is_active,
    }
    columns |= _name_columns(User, person.name or "")
    email = person.email or ""
    if _has_field(User, "email") and len(email) <= (User._meta.get_field("email").max_length or 254):
        columns["email"] = email
    if field_name := user_lms_id_field():
        columns[field_name] = lms_id
    return User(**columns)


def _name_columns(User: Any, name: str) -> dict[str, str]:
    """Return the columns of a full name: ``full_name`` if the host has it, else the last word as the last name."""
    if _has_field(User, "full_name"):
        return {"full_name": name[: User._meta.get_field("full_name").max_length]}
    if not _has_field(User, "first_name"):
        return {}
    first, _, last = name.strip().rpartition(" ")
    if not first:
        first, last = last, ""
    return {"first_name": first[:150], "last_name": last[:150]}


def _has_field(User: Any, name: str) -> bool:
    return any(column.name == name for column in User._meta.get_fields())
