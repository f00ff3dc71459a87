"""
The public interface for Python code of the host and of other plugins. Everything that is not in ``__all__`` is private.

A *person* is a learner, a learner's UUID, an account of the host, an LMS user id, an ``ExternalIdentity`` (a learner's
id at another system), or text: digits are an LMS user id, any other text is a username of the host. A *template* is
named by its slug.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from badges import explanations, granting, retirement
from badges.awarding.models import CredentialStatus, UserCredential, held
from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import ExternalIdentity, PersonKey
from badges.catalog.models import BadgeTemplate
from badges.common.error_messages import code_lines
from badges.common.holdings import Holding, HoldingSource, HoldingState, register_holdings
from badges.common.merged_pagination import Source as HoldingRows
from badges.common.retirement import RetirementHook, RetiringPerson, register_retirement_hook
from badges.conf import config, user_lms_id_field
from badges.engagement.activities import stats_of
from badges.exceptions import SeveralAccountsError, TemplateNotActiveError, UnknownPersonError
from badges.explanations import Answer, Explanation
from badges.explanations import sentences as answer_sentences
from badges.intake import identities, learners
from badges.intake.events import Event
from badges.intake.models import Learner, LearnerIdentity
from badges.outbox import mailbox
from badges.outbox.channels import HandlerResult
from badges.outbox.mailbox import NewMessage, notify_worker_on_commit
from badges.pipeline import BatchResult, process_pending, receive
from badges.pipeline.activities import ActivityData, RecordedActivity
from badges.pipeline.activities import record_activity as _record_activity
from badges.pipeline.decisions import apply_stored_penalties
from badges.pipeline.failures import TRANSIENT_ERRORS
from badges.pipeline.receiving import Receipt, Received, receive_all
from badges.progress.models import BadgeProgress, RequirementReset
from badges.progress.reading import report, with_reports
from badges.retirement import RetirementResult, SweepResult
from badges.rules import EngagementStats
from badges.runs import queue as run_queue
from badges.runs.kinds import Ending, Job, RunKind, RunLimits, Step
from badges.runs.kinds import register as register_run_kind
from badges.runs.models import Run, RunMode, RunState
from badges.runs.queue import RunRefused
from badges.runs.queue import claim as claim_run
from badges.runs.queue import due as due_runs
from badges.runs.queue import join as join_run
from badges.runs.queue import start as start_run
from badges.runs.worker import carry_out as carry_out_run

__all__ = [
    "ActivityData",
    "Answer",
    "BatchResult",
    "Ending",
    "Event",
    "Explanation",
    "ExternalIdentity",
    "HandlerResult",
    "Holding",
    "HoldingRows",
    "HoldingSource",
    "HoldingState",
    "Job",
    "LearnerData",
    "Person",
    "Receipt",
    "Received",
    "RecordedActivity",
    "RetirementHook",
    "RetirementResult",
    "RetiringPerson",
    "Run",
    "RunKind",
    "RunLimits",
    "RunMode",
    "RunRefused",
    "RunState",
    "Step",
    "SweepResult",
    "account_of",
    "answer_sentences",
    "award",
    "carry_out_run",
    "claim_run",
    "credentials_of",
    "delete_old_runs",
    "due_runs",
    "engagement_of",
    "enqueue",
    "enqueue_all",
    "explain",
    "find_person",
    "get_or_create_learners",
    "holders_of",
    "identities_of",
    "join_run",
    "last_resets",
    "learner_of",
    "lift_block",
    "link_identity",
    "link_sign_in",
    "lms_user_id_of",
    "missing_criteria",
    "notify_worker_on_commit",
    "person_named",
    "process_pending",
    "progress_of",
    "receive",
    "receive_all",
    "record_activity",
    "register_holdings",
    "register_retirement_hook",
    "register_run_kind",
    "report",
    "retire",
    "retire_swept",
    "retired_among",
    "revoke",
    "start_run",
    "status_of",
    "undelivered",
    "unlink_identity",
    "why",
    "why_not_awarded",
    "with_reports",
]

log = logging.getLogger(__name__)

RUNS_AT_ONCE = 500  # deleted in one statement

MOST_ACCOUNTS = 20  # that are read for an e-mail address

UUID_LENGTH = 36  # with hyphens, the only form that is taken for a UUID
TOO_MANY_DIGITS = 20  # the largest number of 63 bits has 19

Person = Learner | AbstractBaseUser | ExternalIdentity | uuid.UUID | int | str


def credentials_of(person: Person, *, template: str | None = None) -> QuerySet[UserCredential]:
    """
    Return the credentials of a person, newest first, with revoked, expired and replaced ones; one statement.

    ``status_at(moment)`` of a row says which. A badge expires at its ``valid_until``, and its row is marked later.
    ``template`` limits them to one template. An unknown person or template has none.
    """
    rows = UserCredential.objects.filter(_rows_of(person)).select_related("learner__user", "template")
    return rows if template is None else rows.filter(template__slug=template)


def holders_of(template: str) -> QuerySet[UserCredential]:
    """
    Return the credentials by which a template's badge is held now, newest first; one statement.

    Their ``learner`` is who holds the badge. An unknown template has none.
    """
    rows = UserCredential.objects.filter(held(timezone.now()), template__slug=template)
    return rows.select_related("learner__user", "template")


def status_of(credential_id: uuid.UUID) -> str | None:
    """
    Return whether a badge is held now that was awarded by a credential: ``awarded``, ``revoked`` or ``expired``.

    Of a badge that was renewed, it is the status of the last renewal. None for an unknown credential. One statement.
    """
    learner_template = UserCredential.objects.filter(pk=credential_id).values("learner_template_id")
    rows = list(UserCredential.objects.filter(learner_template_id__in=learner_template))
    renewals = {row.replaces_id: row for row in rows}
    newest = next((row for row in rows if row.pk == credential_id), None)
    while newest is not None and newest.status != CredentialStatus.REVOKED and newest.pk in renewals:
        newest = renewals[newest.pk]
    return None if newest is None else newest.status_at(timezone.now())


def progress_of(person: Person, *, template: str | None = None) -> QuerySet[BadgeProgress]:
    """
    Return the progress of a person on templates, the latest begun first; three statements.

    ``template`` limits it to one template. ``report(row)`` tells of each row which groups of requirements are
    fulfilled. A template without any fulfilment has no row.
    """
    rows = with_reports(BadgeProgress.objects.filter(_rows_of(person)).select_related("learner__user", "template"))
    return rows if template is None else rows.filter(template__slug=template)


def award(
    person: Person,
    template: str,
    *,
    by: AbstractBaseUser | None = None,
    reason: str = "",
    lift_block: bool = False,
    now: dt.datetime | None = None,
) -> UserCredential:
    """
    Award a badge to a person and return the credential. It is announced and issued at providers later.

    A person who has no learner yet gets one, if there is an account of the host: ``person`` is the account, its
    username, or the LMS user id that the host stores with it. Somebody else needs a learner first
    (``get_or_create_learners``), so that a mistyped LMS user id awards nothing.

    ``by`` is the account of the person who decided it; None means the calling code. ``reason`` is for staff and holds
    at most 500 characters. Nothing else awards a template that demands nothing, except a badge condition.
    ``award_once`` does not limit it. With ``lift_block`` the badge is awarded although a person revoked it and blocked
    it: the block is lifted in the same transaction, with the same ``by`` and ``reason``.

    Runs in a transaction of its own. In the caller's transaction, transient errors of the database are raised as they
    are, because only the caller can try again. Of several calls at the same time, one awards.

    Raises BadgeTemplate.DoesNotExist, and these errors of ``badges.exceptions``, which all are GrantingErrors:
    UnknownPersonError, TemplateNotActiveError, AlreadyHeldError and BlockedError (both have the ``credential_id`` that
    is in the way), UnusableReasonError. Raises Retryable when the database did not answer.
    """
    known = BadgeTemplate.objects.get(slug=template)
    learner = learner_of(person) or functools.partial(_create_learner, person)
    now = now or timezone.now()
    return granting.award_one(learner, known, by=by, reason=reason, lift_block=lift_block, now=now)


def why_not_awarded(template: str) -> str:
    """
    Return why badges of a template are not awarded now, with the remedy; empty when they are.

    Two statements at most.
    """
    known = None if "\0" in template else BadgeTemplate.objects.filter(slug=template).first()
    if known is None:
        return _("There is no badge template with this slug. Write it as its page shows it.")
    is_awarded = granting.awardable_templates().filter(pk=known.pk).exists()
    return "" if is_awarded else str(TemplateNotActiveError(template))


def revoke(
    person: Person,
    template: str,
    *,
    by: AbstractBaseUser | None = None,
    reason: str = "",
    internal_reason: str = "",
    block: bool | None = None,
    credential_id: uuid.UUID | None = None,
    now: dt.datetime | None = None,
) -> UserCredential:
    """
    Revoke the badge that a person holds, and return the credential. It is announced and revoked at providers later.

    ``reason`` is public: the learner and everybody who can open the public page of the badge may read it, and providers
    get it (at most 255 characters). ``internal_reason`` is for staff (at most 500). With ``block``, the learner does
    not get the badge again until ``lift_block`` is called; by default a revocation by a person (``by``) blocks, and one
    by the calling code does not. With ``credential_id`` only this credential is revoked, and not one that the person
    has got since.

    Raises BadgeTemplate.DoesNotExist, UnknownPersonError, NotHeldError or UnusableReasonError. Raises Retryable when
    the database did not answer.
    """
    learner, known = _learner_and_template(person, template)
    return granting.revoke_one(
        learner,
        known,
        by=by,
        public_reason=reason,
        internal_reason=internal_reason,
        block=by is not None if block is None else block,
        credential_id=credential_id,
        now=now or timezone.now(),
    )


def lift_block(
    person: Person,
    template: str,
    *,
    by: AbstractBaseUser | None = None,
    reason: str = "",
    credential_id: uuid.UUID | None = None,
    now: dt.datetime | None = None,
) -> UserCredential | None:
    """
    Let a person get a badge again that a person revoked.

    The progress is evaluated anew: if the requirements of today are fulfilled, the badge is awarded at once and the new
    credential is returned, with ``by`` and ``reason`` as the cause. Else returns None. The revoked credential keeps
    when the block was lifted, by whom and why. ``reason`` is for staff and holds at most 500 characters. With
    ``credential_id`` only the block of this credential is lifted.

    Raises BadgeTemplate.DoesNotExist, UnknownPersonError, NotBlockedError or UnusableReasonError. Raises Retryable when
    the database did not answer.
    """
    learner, known = _learner_and_template(person, template)
    return granting.lift_block(
        learner, known, by=by, reason=reason, credential_id=credential_id, now=now or timezone.now()
    )


def record_activity(
    person: Person, data: ActivityData, *, time_zone: str = "", now: dt.datetime | None = None
) -> RecordedActivity:
    """
    Record an activity of a person, such as a quiz, award the badges that it earns, and return what it gave.

    The source and the event id of ``data`` identify the activity: one that is known already changes nothing. The time
    may lie in the past: late activities give the same figures as those that came in time. ``time_zone`` is the IANA
    name of the zone in which the days of the person's streaks begin from now on; empty: as before. A person without a
    learner gets one, as with ``award``. Runs in a transaction of its own, or in the caller's, as ``award`` does.

    Raises UnknownPersonError. Raises Retryable when the database did not answer.
    """
    learner = learner_of(person) or functools.partial(_create_learner, person)
    return _record_activity(learner, data, time_zone=time_zone, now=now or timezone.now())


def engagement_of(person: Person, *, now: dt.datetime | None = None) -> EngagementStats:
    """Return the XP, the streaks and the numbers of activities of a person; two statements. Nobody has none."""
    learner = learner_of(person)
    if learner is None:
        return EngagementStats()
    return stats_of([learner.pk], now=now or timezone.now())[learner.pk]


def _learner_and_template(person: Person, template: str) -> tuple[Learner, BadgeTemplate]:
    known = BadgeTemplate.objects.get(slug=template)
    learner = learner_of(person)
    if learner is None:
        raise UnknownPersonError
    return learner, known


def _create_learner(person: Person) -> Learner:
    """Create the learner of an account of the host. Raises UnknownPersonError when there is none for this person."""
    user = account_of(person)
    if user is None:
        raise UnknownPersonError
    data = LearnerData(_lms_user_id(user), is_active=True, username=user.get_username(), email=None, name=None)
    learner = _get_or_create([data], without_account=False).get(data.key)
    if learner is None or learner.user_id != user.pk:  # retired, or the LMS user id belongs to somebody else
        raise UnknownPersonError
    return learner


def account_of(person: Person) -> AbstractBaseUser | None:
    """
    Return the account that a username names, or an LMS user id that the host stores with it; one statement.

    None if there is no such account, and for a learner: ``learner_of(person).user`` is the account of a learner.
    """
    if isinstance(person, AbstractBaseUser):
        return person
    if isinstance(person, Learner | ExternalIdentity | uuid.UUID) or "\0" in str(person):
        return None
    users = get_user_model()._default_manager
    number = _lms_user_id(person)
    if number is None:
        account = users.filter(**{get_user_model().USERNAME_FIELD: str(person)}).first()
        return account if account is None or account.get_username() == str(person) else None
    field = user_lms_id_field()
    return users.filter(**{field: number}).order_by("pk").first() if field else None


def learner_of(person: Person) -> Learner | None:
    """Return the learner of a person, or None if there is none here; one statement."""
    learner = Learner.objects.filter(_is_person(person)).select_related("user").first()
    if learner is None or isinstance(person, Learner | AbstractBaseUser | ExternalIdentity | uuid.UUID):
        return learner
    # MariaDB and MySQL equate usernames that differ in case or accents only.
    is_named = _is_number(str(person)) or (learner.user is not None and learner.user.get_username() == str(person))
    return learner if is_named else None


def identities_of(person: Person) -> QuerySet[LearnerIdentity]:
    """Return the ids of a person at other systems; one statement. An unknown person has none."""
    return LearnerIdentity.objects.filter(_rows_of(person)).order_by("pk")


def link_identity(person: Person, identity: ExternalIdentity) -> tuple[LearnerIdentity, bool]:
    """
    Give a person an id at another system, so that events find them by it; return the row, and whether it is new.

    A person who has no learner yet gets one, as with ``award``. An id belongs to one person: raises IdentityTakenError
    when another one has it, whom only staff can take it from. Raises UnusableIdentityError when the issuer or the id is
    empty, too long or not printable, and UnknownPersonError; all are in ``badges.exceptions``. Raises Retryable when
    the database did not answer.
    """
    identities.check(identity)
    learner = learner_of(person) or functools.partial(_create_learner, person)
    return granting.with_locked_learner(learner, lambda found: identities.link(found, identity))


def link_sign_in(user: AbstractBaseUser, identity: ExternalIdentity) -> LearnerIdentity:
    """
    Note that an account of the host has signed in through an issuer, under the id that it has there; return the row.

    Call it after each such sign-in: it changes nothing when all is known. The learner of the account gets the id. If
    staff have given the id to a learner without an account before, that learner gets the account. Raises what
    ``link_identity`` does; IdentityTakenError also when both the account and the id have a learner already. Then the
    log and the list of learners tell staff of the two, and nothing is changed.
    """
    identities.check(identity)
    if identities.bind_account(user, identity):
        return LearnerIdentity.objects.get(**identity._asdict())
    return link_identity(user, identity)[0]


def unlink_identity(identity: ExternalIdentity) -> bool:
    """Remove an id at another system from its learner; return whether there was one. Events do not find them by it."""
    if "\0" in identity.issuer + identity.subject:
        return False
    return bool(LearnerIdentity.objects.filter(**identity._asdict()).delete()[0])


def get_or_create_learners(people: Iterable[LearnerData], *, without_account: bool = False) -> dict[PersonKey, Learner]:
    """
    Find or create the learners of people; return them by ``LearnerData.key``, which is the LMS user id if it is given.

    Existing accounts are not changed; missing ones are created without a usable password. A person is missing from the
    result if the LMS user id is not valid, or if the username is unknown, unusable, or belongs to another LMS user id.
    With ``without_account`` a person with an unknown username gets a learner without an account; a later event that
    holds the username adds the account. People who are given without LMS user id are found only, never created.

    Penalties that were stored by an LMS user id that becomes known by this are applied. At most eight statements for
    any number of people, one more when ids become known, and those of a decision when there are such penalties. They
    run in a transaction of their own, or in the caller's.

    Raises EventError when the host's database equates two usernames. Raises IntegrityError when it refuses an account
    for another reason, such as an e-mail address that must be unique.
    """
    people = list(people)
    try:
        return _get_or_create(people, without_account)
    except IntegrityError:
        # Another process has just created one of them. The second attempt finds it.
        return _get_or_create(people, without_account)


def _get_or_create(people: Sequence[LearnerData], without_account: bool) -> dict[PersonKey, Learner]:
    lookup = learners.look_up(people, without_account=without_account)
    wanted = [person.key for person in people if lookup.identifies(person.key)]
    if not wanted:
        return {}
    with transaction.atomic():
        found = learners.get_or_create(lookup, wanted)
        if bound := [found[key] for key in lookup.unbound if key in found]:
            apply_stored_penalties(bound, now=timezone.now())
        return found


def retired_among(people: Iterable[LearnerData]) -> set[PersonKey]:
    """
    Return who of these people was retired, by ``LearnerData.key``; at most four statements.

    ``get_or_create_learners`` leaves them out. They are recognised by the LMS user id, or by an account that the host
    has kept.
    """
    return learners.look_up(people).retired


def retire(person: Person, *, now: dt.datetime | None = None, plan: bool = False) -> RetirementResult:
    """
    Remove the personal data of a person who left, from the tables and files of all apps; return what was changed.

    The payloads of the person's events are deleted, and the person's events in the event log; pending events become
    dead letters. Progress and credentials stay, with a learner that has neither LMS user id nor account nor external
    identity. Documents of certificates are removed. Pending deliveries read personal data only when they run, so they
    find none and become dead letters. A keyed hash of the LMS user id stays, so that late events are ignored. The
    outbox deletes badges at the providers that can do so afterwards. The host removes its account, and the badges at
    other providers, itself.

    Other apps take part with a hook (``register_retirement_hook``). All is one transaction, and safe to repeat. Give
    the LMS user id where it is known: a person without a learner is remembered, too.

    ``now`` is the time that is stored with dead letters. ``plan``: return what would be changed, and change nothing.
    Raises Retryable when the database did not answer for longer than ``LMS_BADGES_CONFIG["intake"]["give_up_seconds"]``
    seconds.
    """
    now = now or timezone.now()
    user = None
    if isinstance(person, AbstractBaseUser):
        user = Q(pk=person.pk)
    elif isinstance(person, str) and not _is_number(person) and "\0" not in person:
        user = Q(**{get_user_model().USERNAME_FIELD: person})
    return retirement.retire(_is_person(person), user=user, lms_user_id=_lms_user_id(person), now=now, plan=plan)


def retire_swept(*, limit: int = 100, now: dt.datetime | None = None) -> SweepResult:
    """
    Retire up to ``limit`` learners whose account the host has retired; return how many, and how many failed.

    Such an account has a username that begins with the setting ``retirement.username_prefix``; without it nothing is
    done. A learner who cannot be retired is logged and passed over, and is tried again by the next call. Raises
    Retryable as ``retire`` does.
    """
    prefix = config.retirement["username_prefix"]
    retired_count, failed_count, last = 0, 0, 0
    if not prefix:
        return SweepResult(0, 0)
    begins = Q(**{f"user__{get_user_model().USERNAME_FIELD}__startswith": prefix})
    swept = Learner.objects.filter(begins).order_by("pk")
    while found := list(swept.filter(pk__gt=last)[: limit - retired_count]):
        for learner in found:
            last = learner.pk
            try:
                retire(learner, now=now)
            except TRANSIENT_ERRORS:
                raise
            except Exception as error:
                # The message of an error may quote personal data, so the log has the lines of code only.
                log.error("Learner row %s could not be retired: %s\n%s", last, type(error).__name__, code_lines(error))
                failed_count += 1
            else:
                retired_count += 1
    return SweepResult(retired_count, failed_count)


def person_named(text: str) -> Person:
    """Return the person that a text names: a UUID is a learner's, digits are an LMS user id, the rest a username."""
    try:
        return uuid.UUID(text) if len(text) == UUID_LENGTH else text
    except ValueError:
        return text


def find_person(text: str) -> Person:
    """
    Return the person that staff name: as for ``person_named``, or by the e-mail address of an account.

    Only staff may search by e-mail addresses: the answer says whether somebody has one. Raises UnknownPersonError for
    an address that nobody has, and SeveralAccountsError. Two statements at most.
    """
    text = text.strip()
    person = person_named(text)
    if "@" not in text or "\0" in text or account_of(person) is not None:
        return person
    name = get_user_model().get_email_field_name()
    rows = get_user_model()._default_manager.filter(**{f"{name}__iexact": text}).order_by("pk")[:MOST_ACCOUNTS]
    # MariaDB and MySQL equate letters with and without accents.
    accounts = [account for account in rows if str(getattr(account, name)).casefold() == text.casefold()]
    if len(accounts) > 1:
        raise SeveralAccountsError
    if not accounts:
        raise UnknownPersonError
    return accounts[0]


def missing_criteria(rows: Iterable[BadgeProgress], *, at: dt.datetime | None = None) -> dict[uuid.UUID, list[str]]:
    """
    Return what is missing of criteria documents that are not fulfilled, such as ``3 of 5 events``, by id of the row.

    ``rows`` come from ``progress_of`` or ``with_reports``; ``report(row, missing=…)`` takes the result of a row. ``at``
    is the moment at which the documents are asked, by default now. The texts are in the active language and may hold
    values of the person's logged events. At most two statements for each learner, besides those that figures need, and
    one for all.
    """
    return explanations.missing_criteria(rows, at=at or timezone.now())


def last_resets(rows: Iterable[BadgeProgress]) -> dict[uuid.UUID, dict[int, RequirementReset]]:
    """
    Return the last resets of requirements by penalties, by the ids of the row and of the requirement.

    ``rows`` come from ``progress_of`` or ``with_reports``; ``report(row, resets=…)`` takes the result of a row. Facts
    up to ``void_until`` of a reset do not count. One statement, none where there are no penalties.
    """
    return explanations.last_resets(rows)


def explain(person: Person, template: str, *, at: dt.datetime | None = None) -> Explanation:
    """
    Return why a person did or did not get a template's badge, as rows and results for programs; ``why`` is for people.

    The explanation has the requirements of today with their fulfilments, the credentials, their causes, and the result
    of every rule for the newest stored events. It may hold personal data. A person who never met a requirement has no
    learner; near misses of such a person are found by the LMS user id, or by the username of the account. Its
    ``criteria`` is what the logged events say of the template's criteria document ``at`` a moment, by default now: the
    verdict, the trace, and what is missing. Raises BadgeTemplate.DoesNotExist.
    """
    if "\0" in template:  # no slug has it, and PostgreSQL raises an error for it
        raise BadgeTemplate.DoesNotExist
    known = BadgeTemplate.objects.select_related("current_revision").get(slug=template)
    learner, account = learner_of(person), None
    if learner is None:
        account = account_of(person)
        learner = learner_of(account) if account is not None else None
    number = _lms_user_id(person) or (_lms_user_id(account) if account is not None else None)
    return explanations.explain(learner, known, lms_user_id=number, account=account, at=at or timezone.now())


def why(person: Person, template: str, *, at: dt.datetime | None = None) -> Answer:
    """
    Return why a person did or did not get a template's badge, as facts that the person may read.

    It names no other person and has no reason that was written for staff. Its texts are in the active language;
    ``answer_sentences`` says all of it in sentences. The number of statements does not depend on how much is stored.
    Raises BadgeTemplate.DoesNotExist, and UnknownPersonError when nothing is known of the person here.
    """
    at = at or timezone.now()
    explained = explain(person, template, at=at)
    is_known = explained.learner or explained.username or explained.is_retired or explained.events.number
    if not is_known and not explanations.is_logged(explained.lms_user_id):
        raise UnknownPersonError
    return explanations.answer_of(explained, at=at)


def enqueue(channel: str, key: str, payload: Mapping[str, Any], *, type: str = "") -> None:
    """
    Write an outbox message: something has to happen outside, and a channel does it later.

    ``channel`` is the name of an entry point in the group ``badges.channels``. Messages with the same channel and
    ``key`` are delivered in the order in which they were written. ``payload`` is JSON with ids and slugs only, and
    holds no personal data. ``type`` says what has to happen; without it, it is the name of the channel.

    Must be called in the transaction of the decision that needs it; a worker is notified when that commits. One
    statement. Raises TransactionManagementError outside of a transaction.
    """
    enqueue_all(channel, [(key, payload)], type=type)


def enqueue_all(channel: str, messages: Iterable[tuple[str, Mapping[str, Any]]], *, type: str = "") -> None:
    """
    Write many outbox messages of one channel, each given as (key, payload); one statement.

    Everything else is as for ``enqueue``.
    """
    mailbox.post(
        NewMessage(channel=channel, key=key, type=type or channel, payload=payload) for key, payload in messages
    )


def delete_old_runs(kind: str, *, now: dt.datetime | None = None) -> int:
    """Delete closed runs of a kind that are older than the kind allows, with their results; return how many."""
    return run_queue.delete_old(now=now or timezone.now(), limit=RUNS_AT_ONCE, kind=kind)


def undelivered(channel: str) -> Iterator[dict[str, Any]]:
    """Yield the payloads of a channel's messages that were not delivered, oldest first: waiting and dead letters."""
    yield from mailbox.undelivered(channel)


def lms_user_id_of(account: AbstractBaseUser) -> int | None:
    """Return the LMS user id of an account: that of its learner, else the one that the host stores with the account."""
    learner = learner_of(account)
    return learner.lms_user_id if learner is not None else _lms_user_id(account)


def _rows_of(person: Person) -> Q:
    return _is_person(person, "learner__")


def _lms_user_id(person: Person) -> int | None:
    """Return the LMS user id of a person if it is given, or if the host stores it with the account."""
    if isinstance(person, AbstractBaseUser):
        field = user_lms_id_field()
        person = str(getattr(person, field)) if field else ""
    text = str(person)
    if isinstance(person, Learner | ExternalIdentity | uuid.UUID) or not _is_number(text):
        return None
    return _number(text)


def _is_number(text: str) -> bool:
    """Return whether a text is read as an LMS user id: ASCII digits."""
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    """Return digits as a number. Longer ones than those of any LMS user id become one that nobody has."""
    return int(text) if len(text) < TOO_MANY_DIGITS else 0


def _is_person(person: Person, prefix: str = "") -> Q:
    if isinstance(person, Learner):
        return Q(**{f"{prefix}pk": person.pk})
    if isinstance(person, AbstractBaseUser):
        return Q(**{f"{prefix}user": person.pk})
    if isinstance(person, ExternalIdentity):
        if "\0" in person.issuer + person.subject:
            return Q(pk__in=[])
        return Q(**{f"{prefix}identities__issuer": person.issuer, f"{prefix}identities__subject": person.subject})
    if isinstance(person, uuid.UUID):
        return Q(**{f"{prefix}uuid": person})
    text = str(person)
    if _is_number(text):
        return Q(**{f"{prefix}lms_user_id": _number(text)})
    if "\0" in text:  # no username has it, and PostgreSQL raises an error for it
        return Q(pk__in=[])
    return Q(**{f"{prefix}user__{get_user_model().USERNAME_FIELD}": text})
