"""
Find and create the learners of a whole batch.

A learner is found by the LMS user id, then by the host's own field for it if one is configured
(``LMS_BADGES_CONFIG["user_lms_id_field"]``), then by the username. Events without ``UserData`` name a person in one way
only (``badges.catalog.learner_paths``), and no account is created for them. Existing accounts are never overwritten
from event data.
``look_up`` only reads. ``get_or_create`` creates who is missing, when the pipeline has decided that the event matters.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, transaction
from django.db.models import BigIntegerField, BooleanField, Exists, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Cast

from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import ExternalIdentity, PersonKey
from badges.common.person_names import readable_name
from badges.conf import user_lms_id_field
from badges.database import Among
from badges.exceptions import EventError, Permanent
from badges.fields import KeyField
from badges.intake import retired
from badges.intake.models import Learner, LearnerIdentity, RetiredPerson

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

TWO_LEARNERS = (
    "The account of learner %s has another learner, %s, who was found by the username earlier. Open the first one in "
    "the admin (learners), and give it the account."
)
NOT_TWO_LEARNERS = "This learner has an account already, or the other learner has it no more. Nothing was changed."

CHANGED = "A learner was retired or changed since they were looked up."


class KnownLearner(NamedTuple):
    """A learner's row, as it was when it was looked up."""

    pk: int
    lms_user_id: int | None
    has_account: bool

    @property
    def is_anonymous(self) -> bool:
        return self.lms_user_id is None and not self.has_account


@dataclass
class LearnerLookup:
    """
    What is known about the people of a batch, by LMS user id, username or external identity (``LearnerData.key``).

    - ``known`` have a learner.
    - ``users`` have an account of the host, but no learner yet, or a learner without an account.
    - ``new_people`` have no account.
    - ``unbound`` have a learner whose LMS user id is not set yet.
    - ``same_as``: the username belongs to one of ``new_people``, who is another key of the batch.
    - ``refused`` cannot be identified. Their events become dead letters with this reason.
    - ``retired`` have left. Their events are ignored.
    - ``two_learners`` have a learner without the account, because another learner has it, who is given by primary key.
    - ``without_account`` have neither learner nor username. They get a learner if the caller of ``look_up`` wants that.

    A key that is in none of them is ignored: there is no row for it here, and the event has no ``UserData`` with a
    username. ``equates`` is true when the database found other usernames than it was asked for.
    """

    known: dict[PersonKey, KnownLearner] = field(default_factory=dict)
    users: dict[PersonKey, AbstractBaseUser] = field(default_factory=dict)
    new_people: dict[PersonKey, LearnerData] = field(default_factory=dict)
    unbound: dict[PersonKey, Learner] = field(default_factory=dict)
    same_as: dict[PersonKey, PersonKey] = field(default_factory=dict)
    refused: dict[PersonKey, str] = field(default_factory=dict)
    retired: set[PersonKey] = field(default_factory=set)
    two_learners: dict[PersonKey, int] = field(default_factory=dict)
    without_account: set[PersonKey] = field(default_factory=set)
    equates: bool = False

    def identifies(self, key: PersonKey) -> bool:
        """Return whether there is a learner for this person, or can be one."""
        groups = (self.known, self.users, self.new_people, self.unbound, self.same_as, self.without_account)
        return any(key in people for people in groups)


def look_up(
    people: Iterable[LearnerData],
    *,
    bystanders: Iterable[PersonKey] = (),
    if_known: Iterable[PersonKey] = (),
    without_account: bool = False,
) -> LearnerLookup:
    """
    Find the learners and accounts of a batch; at most three statements, whatever its size, and one
    more when accounts without a learner are found.

    ``bystanders`` are people of whom only is asked whether they were retired. Those in ``if_known`` are among ``known``
    if they have a learner with their LMS user id or external identity, and are not looked for elsewhere.
    With ``without_account`` people who are known by their LMS user id alone can get a learner without an account.
    """
    wanted: dict[PersonKey, LearnerData] = {}
    for person in people:
        # Several events of a batch may be about one person, some with personal data and some without.
        key = person.key
        if key not in wanted or wanted[key].username is None:
            wanted[key] = person
    lookup = LearnerLookup()
    lookup.refused = {key: INVALID_LMS_USER_ID for key in wanted if isinstance(key, int) and not _is_id(key)}
    for key in lookup.refused:
        del wanted[key]
    others = {key for key in bystanders if isinstance(key, int) and _is_id(key)}
    asked = {key for key in if_known if not isinstance(key, int) or _is_id(key)}
    if not wanted and not others and not asked:
        return lookup
    _find_known_and_retired(wanted.keys() | asked, others, lookup)
    missing = {key: person for key, person in wanted.items() if _needs_account_look_up(key, person, lookup)}
    if missing and (field_name := user_lms_id_field()):
        _match_host_field(missing, lookup, field_name)
    if missing:
        _match_usernames(missing, lookup)
    if lookup.users:
        _leave_out_retired_accounts(lookup)
    if without_account:
        lookup.without_account = {
            key for key in missing if isinstance(key, int) and key not in lookup.refused and not lookup.identifies(key)
        }
    return lookup


def retire(learner: Learner) -> None:
    """Remove the LMS user id, the account and the identities from a learner. The caller has locked the row."""
    LearnerIdentity.objects.filter(learner=learner).delete()
    Learner.objects.filter(account_learner=learner.pk).update(account_learner=None)
    Learner.objects.filter(pk=learner.pk).update(lms_user_id=None, user=None, account_learner=None)


def lock(learner_ids: Iterable[int]) -> dict[int, int | None]:
    """
    Lock learners in the order of their ids, and return their LMS user ids by id; at most two statements.

    Call it before the transaction reads what it decides about: so others cannot change that in between.
    """
    rows = Learner.objects.filter(pk__in=set(learner_ids)).order_by("pk")
    if not connection.features.has_select_for_update:
        rows.order_by().update(created_at=F("created_at"))  # SQLite: a write keeps all other writers out
    return dict(rows.select_for_update().values_list("pk", "lms_user_id"))


def same_person(condition: Q) -> Q:
    """Return a condition for the learners that another one finds, and for the other learners of the same people."""
    found = dict(Learner.objects.filter(condition).values_list("pk", "account_learner"))
    with_account = {pk for pk in found.values() if pk is not None}
    without = set(Learner.objects.filter(account_learner__in=found).values_list("pk", flat=True)) if found else set()
    return condition | Q(pk__in=with_account | without)


def give_account(learner: Learner) -> None:
    """
    Give a learner the account that another learner of the same person has.

    The other one keeps its progress and its credentials, and has neither account nor LMS user id afterwards. Its ids at
    other systems go to this one. What still names the other one, such as the account id of the sticker flows, leads to
    this one by ``account_learner``. Raises Permanent when there are not two such learners any more.
    """
    with transaction.atomic():
        rows = Learner.objects.select_for_update().filter(pk__in=[learner.pk, learner.account_learner_id])
        locked = {row.pk: row for row in rows.order_by("pk")}
        ours, other = locked.get(learner.pk), locked.get(learner.account_learner_id or 0)
        if ours is None or other is None or ours.user_id is not None or other.user_id is None or other.lms_user_id:
            raise Permanent(NOT_TWO_LEARNERS)
        LearnerIdentity.objects.filter(learner=other).update(learner=ours)
        Learner.objects.filter(pk=other.pk).update(user=None, account_learner=ours)
        Learner.objects.filter(pk=ours.pk).update(user=other.user_id, account_learner=None)


def names_of(learner_id: int | None, user_id: Any) -> list[str | ExternalIdentity]:
    """Return by which names events may mean a person, besides the LMS user id; at most two statements."""
    names: list[str | ExternalIdentity] = []
    if learner_id is not None:
        identities = LearnerIdentity.objects.filter(learner=learner_id).values_list("issuer", "subject")
        names += [ExternalIdentity(*identity) for identity in identities]
    if user_id is not None:
        User: Any = get_user_model()
        names += User._default_manager.filter(pk=user_id).values_list(User.USERNAME_FIELD, flat=True)
    return names


def _is_id(lms_user_id: int) -> bool:
    """Return whether a number can be an LMS user id: positive, and at most 63 bits."""
    return 0 < lms_user_id < 2**63


def get_or_create(lookup: LearnerLookup, keys: Iterable[PersonKey]) -> dict[PersonKey, Learner]:
    """
    Create the learners that are missing, lock all of them in the order of their ids, and return them by key.

    ``keys`` are those that ``lookup`` identifies. Learners get the LMS user id and the account that they lack and the
    look-up has found. Must run in a transaction. At most five statements.

    Raises EventError when the database equates two usernames. The pipeline then splits the batch until that event
    stands alone. Raises IntegrityError when another process has just created or retired one of these people. Whoever
    looks up again finds the result of that.

    There is no upsert here. On MariaDB it would react to every unique column, and could give an account or a learner to
    another person.
    """
    wanted = {key: lookup.same_as.get(key, key) for key in keys}
    meant = set(wanted.values())
    accounts = {key: user for key, user in lookup.users.items() if key in meant}
    new_people = {key: person for key, person in lookup.new_people.items() if key in meant}
    if new_people and lookup.equates:
        raise EventError(EQUATED_USERNAME)
    accounts |= _create_accounts(new_people)
    created = _new_learners(meant, accounts, lookup)
    Learner.objects.bulk_create(created)
    found = _by_key(meant, _lock(meant, accounts, lookup), accounts, lookup)
    _add_what_is_missing(found, accounts)
    _note_two_learners(found, lookup)
    return {key: found[other] for key, other in wanted.items()}


def reserve(lms_user_ids: Collection[int]) -> None:
    """
    Let nobody else create learners with these LMS user ids until the transaction ends; two statements.

    For people without a learner about whom something is written that a new learner has to take into account. A row is
    inserted and deleted again: whoever inserts the same LMS user id waits for the end of this transaction. Raises
    IntegrityError when there is such a learner now, or the person was just retired. Whoever looks up again finds that.
    """
    rows = [Learner(lms_user_id=each) for each in sorted(lms_user_ids)]
    Learner.objects.bulk_create(rows)
    # A retirement writes its hash before it inserts the learner. Whoever has inserted the learner sees the hash.
    gone = RetiredPerson.objects.filter(digest__in=retired.digests_of(lms_user_ids))
    mine = Learner.objects.filter(~Exists(gone), uuid__in=[row.uuid for row in rows])
    # Nothing can point at rows that nobody else has seen, so the tables that could are not asked.
    if mine._raw_delete(mine.db) != len(rows):
        raise IntegrityError(CHANGED)


def _new_learners(
    keys: Iterable[PersonKey], accounts: Mapping[PersonKey, AbstractBaseUser], lookup: LearnerLookup
) -> list[Learner]:
    """Return the unsaved rows of learners who are new. One account may be meant by an LMS user id and by a username."""
    bound = {accounts[key].pk for key in accounts if key in lookup.known}
    rows: dict[Any, Learner] = {}
    for key, user in accounts.items():
        if user.pk not in bound:
            row = rows.setdefault(user.pk, Learner(user_id=user.pk))
            row.lms_user_id = key if isinstance(key, int) else row.lms_user_id
    alone = [Learner(lms_user_id=key) for key in keys if key in lookup.without_account and isinstance(key, int)]
    return sorted([*rows.values(), *alone], key=lambda row: (row.lms_user_id or 0, str(row.user_id)))


def _lock(
    keys: Iterable[PersonKey], accounts: Mapping[PersonKey, AbstractBaseUser], lookup: LearnerLookup
) -> list[Learner]:
    """Lock learners in the order of their ids. Raises IntegrityError when one of the changed ones was just retired."""
    locked = Learner.objects.select_for_update().filter(_to_lock(keys, accounts, lookup)).order_by("id")
    changed = [*accounts, *(key for key in keys if key in lookup.unbound or key in lookup.without_account)]
    digests: dict[str, Any] = retired.digests_of(key for key in changed if isinstance(key, int))
    digests |= retired.account_digests(user.pk for user in accounts.values())
    if digests:
        # A retirement writes its hash before it inserts the learner. Whoever has inserted the learner sees the hash.
        locked = locked.annotate(is_retired=Exists(RetiredPerson.objects.filter(digest__in=digests)))
    learners = list(locked)
    if any(getattr(learner, "is_retired", False) for learner in learners):
        raise IntegrityError(CHANGED)
    return learners


def _to_lock(keys: Iterable[PersonKey], accounts: Mapping[PersonKey, AbstractBaseUser], lookup: LearnerLookup) -> Q:
    """Return the condition of the learners to lock. A batch of LMS user ids that are known or new needs one index."""
    lms_user_ids, pks, users = [], [], []
    for key in keys:
        if key in lookup.unbound:
            pks.append(lookup.unbound[key].pk)
        elif isinstance(key, int):
            lms_user_ids.append(key)
        elif key in lookup.known:
            pks.append(lookup.known[key].pk)
        else:
            users.append(accounts[key].pk)
    condition = Q(Among(F("lms_user_id"), lms_user_ids)) if lms_user_ids else Q()
    condition |= Q(pk__in=pks) if pks else Q()
    return condition | Q(user__in=users) if users else condition


def _by_key(
    keys: Iterable[PersonKey],
    locked: Sequence[Learner],
    accounts: Mapping[PersonKey, AbstractBaseUser],
    lookup: LearnerLookup,
) -> dict[PersonKey, Learner]:
    """Return the locked learners by key. Raises IntegrityError when one was retired since the look-up."""
    by_lms_user_id = {row.lms_user_id: row for row in locked if row.lms_user_id is not None}
    by_pk = {row.pk: row for row in locked}
    by_user = {row.user_id: row for row in locked}
    for key in accounts:
        if isinstance(key, int) and key in lookup.known and key in by_lms_user_id:
            by_user[accounts[key].pk] = by_lms_user_id[key]
    found: dict[PersonKey, Learner] = {}
    for key in keys:
        known, unbound = lookup.known.get(key), lookup.unbound.get(key)
        row: Learner | None
        changed = False
        if unbound is not None:
            row = by_pk.get(unbound.pk)
            changed = row is not None and (row.user_id != unbound.user_id or row.lms_user_id not in (None, key))
        elif isinstance(key, int):
            row = by_lms_user_id.get(key)
        elif known is not None:
            row = by_pk.get(known.pk)
            changed = row is not None and not known.is_anonymous and row.lms_user_id is None and row.user_id is None
        else:
            row = by_user.get(accounts[key].pk)
        if row is None or changed:
            raise IntegrityError(CHANGED)
        found[key] = row
    return found


def _add_what_is_missing(found: Mapping[PersonKey, Learner], accounts: Mapping[PersonKey, AbstractBaseUser]) -> None:
    """Give locked learners the LMS user id or the account that they lack; no statement when none lacks any."""
    changed = {}
    for key, learner in found.items():
        if isinstance(key, int) and learner.lms_user_id is None:
            learner.lms_user_id = key
            changed[learner.pk] = learner
        if key in accounts and learner.user_id is None:
            learner.user_id = accounts[key].pk
            changed[learner.pk] = learner
    if changed:
        Learner.objects.bulk_update(changed.values(), ["lms_user_id", "user"])


def _note_two_learners(found: Mapping[PersonKey, Learner], lookup: LearnerLookup) -> None:
    """Write on locked learners which other learner of the same person has the account; no statement if it is there."""
    for key, other in lookup.two_learners.items():
        if key in found and found[key].account_learner_id != other:
            log.warning(TWO_LEARNERS, found[key].pk, other)
            Learner.objects.filter(pk=found[key].pk).update(account_learner=other)


def _find_known_and_retired(wanted: Collection[PersonKey], others: set[int], lookup: LearnerLookup) -> None:
    """Find who has a learner, by LMS user id or external identity, and who was retired; one statement."""
    ids = {key for key in wanted if isinstance(key, int)}
    digests = retired.digests_of(ids | others)
    columns = ("learner_pk", "lms_id", "has_account", "kind", "named")
    text = KeyField()
    learners = Learner.objects.filter(Among(F("lms_user_id"), ids)).order_by()
    learners = learners.annotate(
        learner_pk=F("pk"), lms_id=F("lms_user_id"), has_account=_is_set("user"), kind=Value(""), named=Value("")
    )
    gone = RetiredPerson.objects.filter(Among(F("digest"), digests)).order_by()
    gone = gone.annotate(
        learner_pk=Value(0), lms_id=_NO_NUMBER, has_account=Value(False), kind=Value("", text), named=F("digest")
    )
    identities = LearnerIdentity.objects.filter(_any_identity(wanted)).order_by()
    identities = identities.annotate(
        learner_pk=F("learner_id"),
        lms_id=F("learner__lms_user_id"),
        has_account=_is_set("learner__user"),
        kind=F("issuer"),
        named=F("subject"),
    )
    parts = [part.values_list(*columns) for part in (learners, gone, identities)]
    for pk, lms_user_id, has_account, issuer, name in parts[0].union(*parts[1:], all=True):
        if name and not issuer:
            lookup.retired.add(digests[name])
            continue
        key = ExternalIdentity(issuer, name) if issuer else lms_user_id
        lookup.known[key] = KnownLearner(pk, lms_user_id, bool(has_account))
    for key in lookup.retired:
        lookup.known.pop(key, None)


_NO_NUMBER = Cast(Value(None), BigIntegerField())


def _is_set(name: str) -> ExpressionWrapper:
    return ExpressionWrapper(Q(**{f"{name}__isnull": False}), output_field=BooleanField())


def _any_identity(keys: Iterable[PersonKey]) -> Q:
    """Return the condition of the identities of a batch; nothing matches it when there are none."""
    by_issuer: dict[str, list[str]] = {}
    for key in keys:
        if isinstance(key, ExternalIdentity):
            by_issuer.setdefault(key.issuer, []).append(key.subject)
    conditions = [Q(issuer=issuer, subject__in=subjects) for issuer, subjects in by_issuer.items()]
    return reduce(or_, conditions, Q(pk__in=[]))


def _needs_account_look_up(key: PersonKey, person: LearnerData, lookup: LearnerLookup) -> bool:
    """Return whether the account of a person has to be looked up."""
    known = lookup.known.get(key)
    if key in lookup.retired:
        return False
    if known is None:
        return not isinstance(key, ExternalIdentity)
    return isinstance(key, int) and not known.has_account and bool(person.username)


def _match_host_field(missing: dict[PersonKey, LearnerData], lookup: LearnerLookup, name: str) -> None:
    lms_user_ids = [key for key in missing if isinstance(key, int)]
    if not lms_user_ids:
        return
    users = get_user_model()._default_manager.filter(**{f"{name}__in": lms_user_ids})
    # If two accounts have the same id, the older one is always used.
    for user in users.select_related("badges_learner").order_by("pk"):
        # Hosts store this id as number or as text.
        lms_user_id = int(getattr(user, name))
        if missing.pop(lms_user_id, None) is not None:
            _use_account(user, lms_user_id, lookup)


def _match_usernames(missing: dict[PersonKey, LearnerData], lookup: LearnerLookup) -> None:
    User: Any = get_user_model()
    names = {person.username for person in missing.values() if person.username}
    found = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": names}).select_related("badges_learner")
    accounts = {user.get_username(): user for user in found.order_by()} if names else {}
    lookup.equates = not accounts.keys() <= names
    taken = _match_user_data(missing, accounts, lookup)
    for key, person in missing.items():
        if isinstance(key, int) or not person.username:
            continue
        if person.username in accounts:
            _use_account_by_name(accounts[person.username], key, lookup)
        elif person.username in taken:
            lookup.same_as[key] = taken[person.username]


def _leave_out_retired_accounts(lookup: LearnerLookup) -> None:
    """
    Treat people as retired whose account the host has kept, although its person was retired; one statement.

    Who has a learner by an LMS user id that was not retired keeps it, without the account.
    """
    gone = retired.among(retired.account_digests(user.pk for user in lookup.users.values()))
    for key in [key for key, user in lookup.users.items() if user.pk in gone]:
        del lookup.users[key]
        if key not in lookup.known:
            lookup.retired.add(key)


def _match_user_data(
    missing: Mapping[PersonKey, LearnerData], accounts: Mapping[str, AbstractBaseUser], lookup: LearnerLookup
) -> dict[str, int]:
    """Match people whose event gave the LMS user id and a username; return who gets a new account, by username."""
    User: Any = get_user_model()
    longest = User._meta.get_field(User.USERNAME_FIELD).max_length or 255
    people = [(key, person) for key, person in missing.items() if isinstance(key, int)]
    taken: set[str] = set()
    new: dict[str, int] = {}
    for lms_user_id, person in sorted(people):
        if person.username is None:
            continue
        if not person.username or len(person.username) > longest:
            _refuse(lms_user_id, UNUSABLE_USERNAME, lookup)
        elif person.username in taken:
            _refuse(lms_user_id, USERNAME_TAKEN, lookup)
        elif person.username in accounts:
            _use_account(accounts[person.username], lms_user_id, lookup)
        else:
            lookup.new_people[lms_user_id] = person
            new[person.username] = lms_user_id
        taken.add(person.username)
    return new


def _refuse(lms_user_id: int, reason: str, lookup: LearnerLookup) -> None:
    """Refuse a person. Whoever has a learner already keeps it, without an account."""
    if lms_user_id not in lookup.known:
        lookup.refused[lms_user_id] = reason


def _use_account(user: AbstractBaseUser, lms_user_id: int, lookup: LearnerLookup) -> None:
    """Note what an account of the host is for this LMS user id: known, to be bound, to get a learner, or refused."""
    learner = getattr(user, "badges_learner", None)
    field_name = user_lms_id_field()
    bound_elsewhere = field_name and getattr(user, field_name) not in (None, "", lms_user_id, str(lms_user_id))
    if learner is not None and learner.lms_user_id == lms_user_id:
        # Another process created the learner after the first statement.
        lookup.known[lms_user_id] = KnownLearner(learner.pk, lms_user_id, has_account=True)
    elif bound_elsewhere or (learner is not None and learner.lms_user_id is not None):
        _refuse(lms_user_id, USERNAME_TAKEN, lookup)
    elif learner is None:
        lookup.users[lms_user_id] = user
    elif lms_user_id in lookup.known:
        lookup.two_learners[lms_user_id] = learner.pk
    else:
        lookup.unbound[lms_user_id] = learner


def _use_account_by_name(user: AbstractBaseUser, key: PersonKey, lookup: LearnerLookup) -> None:
    """Note what an account of the host is for an event that holds its username only: known, or to get a learner."""
    learner = getattr(user, "badges_learner", None)
    if learner is None:
        lookup.users[key] = user
    else:
        lookup.known[key] = KnownLearner(learner.pk, learner.lms_user_id, has_account=True)


def _create_accounts(new_people: Mapping[PersonKey, LearnerData]) -> dict[PersonKey, AbstractBaseUser]:
    """Create accounts without a usable password; return them by key; two statements."""
    if not new_people:
        return {}
    User: Any = get_user_model()
    people = sorted(new_people.items(), key=lambda item: item[1].username or "")
    User._default_manager.bulk_create(new_account(person) for _, person in people)
    names = {person.username for _, person in people}
    # Read again, because not every database returns the ids of several inserted rows.
    rows = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": names}).order_by()
    by_name = {user.get_username(): user for user in rows}
    return {key: by_name[person.username] for key, person in new_people.items()}


def new_account(person: LearnerData) -> Any:
    """Return the unsaved account of a person, without a password, and without an e-mail address that is too long."""
    User: Any = get_user_model()
    columns: dict[str, Any] = {
        User.USERNAME_FIELD: person.username,
        "password": make_password(None),
        "is_active": person.is_active,
    }
    columns |= _name_columns(User, readable_name(person.name))
    email = person.email or ""
    if _has_field(User, "email") and len(email) <= (User._meta.get_field("email").max_length or 254):
        columns["email"] = email
    if field_name := user_lms_id_field():
        columns[field_name] = person.lms_user_id
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
