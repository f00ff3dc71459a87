"""
What people, and time, do to credentials: issue by hand, reissue, invalidate, retry, expire, retire.

Admin, REST and commands call the same verbs. Whoever calls has checked permissions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from badges import api as badges
from badges.exceptions import Permanent, Retryable
from credentials_config import lms
from credentials_config.contracts import Person
from credentials_config.issuing import files, rows
from credentials_config.issuing.document_context import document_context, document_name
from credentials_config.issuing.errors import let_go
from credentials_config.issuing.runs import MAKE_TASK
from credentials_config.issuing.search import Search, chunked
from credentials_config.models import ACTIVE, Credential, CredentialConfiguration, CredentialStatus
from credentials_config.schedules import over_from_the_start

# Rows changed in one transaction: few enough to hold nobody up.
STEP = 500

WIPED: dict[str, Any] = {
    "learner_name": "",
    "language": "",
    "document": "",
    "reissue": {},
    "claim": None,
    "due_at": None,
    "error": "",
}


class Refused(Permanent):
    """What was asked for cannot be done to this credential as it is; the message says what can."""


def issue(
    configuration: CredentialConfiguration,
    *,
    lms_user_ids: Collection[int] = (),
    usernames: Collection[str] = (),
    override_eligibility: bool = False,
    now: dt.datetime | None = None,
) -> list[Credential]:
    """
    Give people a credential by hand, gates or not, also after an earlier one was taken back or has expired.

    Raises Refused when somebody is unknown, not eligible, or has an active one; nobody is given any then. Raises
    Retryable when the LMS does not answer.
    """
    now = now or timezone.now()
    if words := over_from_the_start(now, valid_days=configuration.valid_days, valid_until=configuration.valid_until):
        raise Refused(words)
    search = Search(configuration)
    people = list(lms.client().find(usernames=usernames, lms_user_ids=lms_user_ids))
    _refuse_unknown_people(people, lms_user_ids, usernames)
    for found in search.ask(people):
        if found.holds in (CredentialStatus.GENERATING, CredentialStatus.AVAILABLE, CredentialStatus.ERROR):
            raise Refused(
                _("LMS user %(id)s has an active credential of this configuration; reissue or invalidate that one.")
                % {"id": found.person.lms_user_id}
            )
        if not found.eligibility.eligible and not override_eligibility:
            reasons = " ".join(found.eligibility.reasons) or _("No reason was given.")
            raise Refused(
                _("LMS user %(id)s is not eligible: %(reasons)s") % {"id": found.person.lms_user_id, "reasons": reasons}
            )
    context, languages = search.context(), rows.languages_of(people)
    with transaction.atomic():
        strangers = rows.write(configuration, people, context, languages, now=now)
        if strangers:
            raise Refused(
                _("LMS user %(id)s cannot be told apart from another account here; correct its LMS user id.")
                % {"id": strangers[0].lms_user_id}
            )
        badges.notify_worker_on_commit(MAKE_TASK)
    ids = [person.lms_user_id for person in people]
    given = Credential.objects.filter(configuration=configuration, learner__lms_user_id__in=ids, active_key=ACTIVE)
    return list(given.select_related("learner__user", "configuration__credential_type"))


def reissue(
    credentials: QuerySet[Credential] | Iterable[Credential],
    *,
    ask_names: bool = True,
    mail: bool = True,
    now: dt.datetime | None = None,
) -> int:
    """
    Have new documents made for available credentials; returns how many. Code and issue date stay.

    The old document stays valid until the new one is there. ``ask_names``: with the names that the LMS has now
    (Retryable when it does not answer; nothing is changed for that chunk then). ``mail``: the learners are told. Raises
    Refused, before anything is changed, when one of them is not available.
    """
    now = now or timezone.now()
    ids = [credential.pk for credential in credentials]
    _refuse_unavailable(ids)
    done = 0
    for some in chunked(ids, STEP):
        words = _present_words(some) if ask_names else {}
        with transaction.atomic():
            locked = Credential.objects.select_for_update().filter(pk__in=some, status=CredentialStatus.AVAILABLE)
            for credential in locked.order_by("pk"):
                credential.reissue = {**words.get(credential.pk, {}), "mail": mail}
                credential.attempts, credential.claim, credential.due_at = 0, None, now
                credential.save(update_fields=["reissue", "attempts", "claim", "due_at"])
                done += 1
            badges.notify_worker_on_commit(MAKE_TASK)
    return done


def invalidate(
    credentials: QuerySet[Credential] | Iterable[Credential],
    *,
    public_reason: str,
    note: str = "",
    now: dt.datetime | None = None,
) -> int:
    """
    Take credentials back; returns how many. Documents are removed, and the verification page says the public reason.

    Runs do not give them again. Raises Refused without a public reason.
    """
    now = now or timezone.now()
    reason = " ".join(public_reason.split())
    if not reason:
        raise Refused(_("Give a public reason: the verification page says it to whoever asks."))
    if len(reason) > 255:
        raise Refused(_("The public reason is longer than 255 characters; keep the details for the internal note."))
    done = 0
    for some in chunked([credential.pk for credential in credentials], STEP):
        with transaction.atomic():
            found = Credential.objects.select_for_update().filter(pk__in=some)
            held = list(found.exclude(status=CredentialStatus.INVALIDATED).order_by("pk"))
            files.discard(_files_of(held))
            done += Credential.objects.filter(pk__in=[row.pk for row in held]).update(
                status=CredentialStatus.INVALIDATED,
                active_key=None,
                invalidated_at=now,
                public_reason=reason,
                internal_note=note,
                document="",
                reissue={},
                claim=None,
                due_at=None,
                error="",
            )
    return done


def retry(credentials: QuerySet[Credential], *, now: dt.datetime | None = None) -> int:
    """Try what failed again, as if for the first time, at once; returns how many."""
    now = now or timezone.now()
    with transaction.atomic():
        tried = credentials.order_by().filter(active_key=ACTIVE).exclude(error="")
        done = tried.update(due_at=now, claim=None, attempts=0)
        if done:
            badges.notify_worker_on_commit(MAKE_TASK)
    return done


def retry_configuration(configuration: CredentialConfiguration, *, now: dt.datetime | None = None) -> int:
    """The cause is removed: let nothing hold the configuration, and try its failed credentials again."""
    with transaction.atomic():
        let_go(configuration)
        done = retry(Credential.objects.filter(configuration=configuration), now=now)
        badges.notify_worker_on_commit(MAKE_TASK)
    return done


def expire(*, now: dt.datetime | None = None) -> int:
    """Let credentials whose time is over expire; returns how many. Their documents stay: they were true."""
    now = now or timezone.now()
    over = Credential.objects.filter(expires_at__lte=now, status=CredentialStatus.AVAILABLE).order_by("expires_at")
    done = 0
    while some := list(over.values_list("pk", flat=True)[:STEP]):
        done += Credential.objects.filter(pk__in=some, status=CredentialStatus.AVAILABLE).update(
            status=CredentialStatus.EXPIRED, active_key=None, due_at=None, claim=None, reissue={}, error=""
        )
    return done


def retire(lms_user_id: int, *, now: dt.datetime | None = None) -> int:
    """
    Forget a learner who left: names and documents are wiped, files removed; returns the number of credentials.

    That there was a credential, and whether it is valid, can still be verified: that says nothing about a person. What
    was not finished is taken back.
    """
    now = now or timezone.now()
    learner = badges.learner_of(lms_user_id)
    if learner is None:
        return 0
    with transaction.atomic():
        held = list(Credential.objects.select_for_update().filter(learner=learner).order_by("pk"))
        files.discard(_files_of(held))
        ids = [row.pk for row in held]
        unfinished = [row.pk for row in held if row.status in (CredentialStatus.GENERATING, CredentialStatus.ERROR)]
        Credential.objects.filter(pk__in=unfinished).update(
            status=CredentialStatus.INVALIDATED, active_key=None, invalidated_at=now
        )
        return Credential.objects.filter(pk__in=ids).update(**WIPED, internal_note="")


# --- private -----------------------------------------------------------------------------------------------------


def _refuse_unknown_people(people: Sequence[Person], lms_user_ids: Collection[int], usernames: Collection[str]) -> None:
    missing = [str(number) for number in lms_user_ids if number not in {person.lms_user_id for person in people}]
    missing += [name for name in usernames if name not in {person.username for person in people}]
    if missing:
        raise Refused(_("The LMS does not know: %(who)s. Correct the name or the id.") % {"who": ", ".join(missing)})
    if not people:
        raise Refused(_("Name at least one learner."))


def _refuse_unavailable(ids: Sequence[UUID]) -> None:
    for some in chunked(ids, STEP):
        others = Credential.objects.filter(pk__in=some).exclude(status=CredentialStatus.AVAILABLE)
        for status, code in others.values_list("status", "verification_code")[:1]:
            remedy = {
                CredentialStatus.GENERATING: _("It is being made; wait."),
                CredentialStatus.ERROR: _("Its document was never made; retry it."),
            }.get(CredentialStatus(status), _("It is over; issue a new one."))
            raise Refused(
                _("Credential %(code)s cannot be reissued: %(status)s. %(remedy)s")
                % {"code": code, "status": CredentialStatus(status).label, "remedy": remedy}
            )
        if Credential.objects.filter(pk__in=some, learner_name="").exists():
            raise Refused(_("A credential of a retired learner cannot be reissued."))


def _files_of(credentials: Iterable[Credential]) -> Iterator[tuple[int, UUID, str]]:
    """Yield the documents of credentials, also those that a killed worker may have left behind."""
    for credential in credentials:
        yield credential.learner_id, credential.pk, credential.document
        # The first document is taken for one of our own generator's.
        yield from files.unfinished(credential, credential.document.rpartition(".")[2] or "pdf")


def _present_words(ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """Return what documents should say now, as far as the LMS knows: names of learners and contexts."""
    held = list(
        Credential.objects.filter(pk__in=ids).values_list("pk", "learner__lms_user_id", "configuration__context_key")
    )
    people = {
        person.lms_user_id: person
        for person in lms.client().find(lms_user_ids=[number for _pk, number, _key in held if number is not None])
    }
    contexts = dict(_contexts({key for _pk, _number, key in held}))
    words: dict[UUID, dict[str, str]] = {}
    for pk, number, key in held:
        said = {"context_name": contexts[key]} if key in contexts else {}
        if number in people:
            said["learner_name"] = document_name(people[number])
        words[pk] = said
    return words


def _contexts(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in sorted(keys):
        try:
            yield key, document_context(lms.client().context(key).name, key)
        except Retryable:
            raise
        except Permanent:  # gone from the LMS: its documents keep the name they have
            continue
