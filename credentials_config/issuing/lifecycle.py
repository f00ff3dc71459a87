"""
What people and time do to credentials: issue by hand, reissue, invalidate, retry, expire.

Admin, REST API and commands call the same functions. The caller has checked permissions.
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

from badges.exceptions import Permanent, Retryable
from credentials_config import lms
from credentials_config.contracts import Person
from credentials_config.issuing import document_queue, documents, new_credentials, without_document
from credentials_config.issuing.document_context import document_context, document_name
from credentials_config.issuing.errors import clear_problem
from credentials_config.issuing.search import Search, chunked
from credentials_config.models import ACTIVE, Credential, CredentialConfiguration, CredentialStatus
from credentials_config.schedules import expiry_error

# Rows that are changed in one transaction: few enough that nobody waits long for their locks.
CHUNK_SIZE = 500


class Refused(Permanent):
    """What was asked for cannot be done with this credential as it is. The message says what can be done."""


def issue(
    configuration: CredentialConfiguration,
    *,
    lms_user_ids: Collection[int] = (),
    usernames: Collection[str] = (),
    override_eligibility: bool = False,
    now: dt.datetime | None = None,
) -> list[Credential]:
    """
    Issue credentials by hand, and return them. Their documents are made in the background.

    The dates of the context do not matter, and an earlier credential that was invalidated or has expired does not
    either. ``override_eligibility``: also to people who are not eligible. Nobody gets one when an error is raised.
    Raises Refused when the LMS does not know somebody, when somebody is not eligible, or has an active credential.
    Raises Retryable when the LMS does not answer, and Permanent when the configuration cannot be used.
    """
    now = now or timezone.now()
    if problem := expiry_error(now, valid_days=configuration.valid_days, valid_until=configuration.valid_until):
        raise Refused(problem)
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
    context, languages = search.context(), new_credentials.languages_of(people)
    with transaction.atomic():
        refused = new_credentials.write(configuration, people, context, languages, now=now)
        for lms_user_id in sorted(new_credentials.retired_among(refused)):
            raise Refused(
                _("LMS user %(id)s was retired here and gets no credential any more; leave this person out.")
                % {"id": lms_user_id}
            )
        if refused:
            raise Refused(
                _("LMS user %(id)s cannot be told apart from another account here; correct its LMS user id.")
                % {"id": refused[0].lms_user_id}
            )
        document_queue.notify_worker_on_commit()
    ids = [person.lms_user_id for person in people]
    issued = Credential.objects.filter(configuration=configuration, learner__lms_user_id__in=ids, active_key=ACTIVE)
    return list(issued.select_related("learner__user", "configuration__credential_type"))


def reissue(
    credentials: QuerySet[Credential] | Iterable[Credential],
    *,
    ask_names: bool = True,
    mail: bool = True,
    now: dt.datetime | None = None,
) -> int:
    """
    Have new documents made for available credentials; returns how many. Code and issue date stay.

    The old document stays valid until the new one is stored. ``ask_names``: with the names that the LMS has now.
    ``mail``: the learners are told by mail. Raises Refused, before anything is changed, when one of the credentials is
    not available. Raises Retryable when the LMS does not answer; the chunk of 500 that it was asked about, and those
    after it, are not changed then.
    """
    now = now or timezone.now()
    ids = [credential.pk for credential in credentials]
    _refuse_unavailable(ids)
    done = 0
    for chunk in chunked(ids, CHUNK_SIZE):
        names = _current_names(chunk) if ask_names else {}
        with transaction.atomic():
            locked = Credential.objects.select_for_update().filter(pk__in=chunk, status=CredentialStatus.AVAILABLE)
            for credential in locked.order_by("pk"):
                credential.reissue = {**names.get(credential.pk, {}), "mail": mail}
                credential.attempts, credential.claim, credential.due_at = 0, None, now
                credential.save(update_fields=["reissue", "attempts", "claim", "due_at"])
                done += 1
            document_queue.notify_worker_on_commit()
    return done


def invalidate(
    credentials: QuerySet[Credential] | Iterable[Credential],
    *,
    public_reason: str,
    note: str = "",
    by: Any = None,
    now: dt.datetime | None = None,
) -> int:
    """
    Take credentials back; returns how many. Those that were invalidated before are left as they are.

    Their documents are removed, and the verification page shows ``public_reason`` (1 to 255 characters). A badge that
    one has awarded is revoked. ``note`` is for staff only. ``by`` is the account of who decided it, or None. Runs do
    not issue them again. Raises Refused without a public reason, or when it is too long.
    """
    now = now or timezone.now()
    reason = " ".join(public_reason.split())
    if not reason:
        raise Refused(_("Give a public reason: the verification page shows it."))
    if len(reason) > 255:
        raise Refused(_("The public reason is longer than 255 characters; keep the details for the internal note."))
    done = 0
    for chunk in chunked([credential.pk for credential in credentials], CHUNK_SIZE):
        with transaction.atomic():
            found = Credential.objects.select_for_update().filter(pk__in=chunk)
            rows = list(found.exclude(status=CredentialStatus.INVALIDATED).order_by("pk"))
            documents.discard(files_of(rows))
            for row in rows:
                without_document.take_back(row, public_reason=reason, note=note, by=by, now=now)
            done += Credential.objects.filter(pk__in=[row.pk for row in rows]).update(
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
    """Try failed credentials again at once, as if for the first time; returns how many had failed."""
    now = now or timezone.now()
    with transaction.atomic():
        failed = credentials.order_by().filter(active_key=ACTIVE).exclude(error="")
        done = failed.update(due_at=now, claim=None, attempts=0)
        if done:
            document_queue.notify_worker_on_commit()
    return done


def retry_configuration(configuration: CredentialConfiguration, *, now: dt.datetime | None = None) -> int:
    """Clear the problem of a configuration, and try its failed credentials again; returns how many had failed."""
    with transaction.atomic():
        clear_problem(configuration)
        done = retry(Credential.objects.filter(configuration=configuration), now=now)
        document_queue.notify_worker_on_commit()
    return done


def expire(*, now: dt.datetime | None = None) -> int:
    """Let credentials expire whose time is over; returns how many. Their documents stay, since they were true."""
    now = now or timezone.now()
    expired = Credential.objects.filter(expires_at__lte=now, status=CredentialStatus.AVAILABLE).order_by("expires_at")
    done = 0
    while chunk := list(expired.values_list("pk", flat=True)[:CHUNK_SIZE]):
        done += Credential.objects.filter(pk__in=chunk, status=CredentialStatus.AVAILABLE).update(
            status=CredentialStatus.EXPIRED, active_key=None, due_at=None, claim=None, reissue={}, error=""
        )
    return done


def files_of(credentials: Iterable[Credential]) -> Iterator[tuple[int, UUID, str]]:
    """Yield, for ``documents.discard``, the documents of credentials and what a killed worker may have left."""
    for credential in credentials:
        yield credential.learner_id, credential.pk, credential.document
        # While there is no document, its extension is taken to be the one of our own generator.
        yield from documents.unfinished(credential, credential.document.rpartition(".")[2] or "pdf")


# --- private -----------------------------------------------------------------------------------------------------


def _refuse_unknown_people(people: Sequence[Person], lms_user_ids: Collection[int], usernames: Collection[str]) -> None:
    missing = [str(number) for number in lms_user_ids if number not in {person.lms_user_id for person in people}]
    missing += [name for name in usernames if name not in {person.username for person in people}]
    if missing:
        raise Refused(_("The LMS does not know: %(who)s. Correct the name or the id.") % {"who": ", ".join(missing)})
    if not people:
        raise Refused(_("Name at least one learner."))


def _refuse_unavailable(ids: Sequence[UUID]) -> None:
    for chunk in chunked(ids, CHUNK_SIZE):
        others = Credential.objects.filter(pk__in=chunk).exclude(status=CredentialStatus.AVAILABLE)
        for status, code in others.values_list("status", "verification_code")[:1]:
            remedy = {
                CredentialStatus.GENERATING: _("It is being made; wait."),
                CredentialStatus.ERROR: _("Its document was never made; retry it."),
            }.get(CredentialStatus(status), _("It is over; issue a new one."))
            raise Refused(
                _("Credential %(code)s cannot be reissued: %(status)s. %(remedy)s")
                % {"code": code, "status": CredentialStatus(status).label, "remedy": remedy}
            )
        if Credential.objects.filter(pk__in=chunk, learner_name="").exists():
            raise Refused(_("A credential of a retired learner cannot be reissued."))


def _current_names(ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """Return the names of learners and contexts that the LMS has now, by credential."""
    rows = list(
        Credential.objects.filter(pk__in=ids).values_list("pk", "learner__lms_user_id", "configuration__context_key")
    )
    people = {
        person.lms_user_id: person
        for person in lms.client().find(lms_user_ids=[number for _pk, number, _key in rows if number is not None])
    }
    contexts = dict(_context_names({key for _pk, _number, key in rows}))
    found: dict[UUID, dict[str, str]] = {}
    for pk, number, key in rows:
        names = {"context_name": contexts[key]} if key in contexts else {}
        if number in people:
            names["learner_name"] = document_name(people[number])
        found[pk] = names
    return found


def _context_names(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in sorted(keys):
        try:
            yield key, document_context(lms.client().context(key).name, key)
        except Retryable:
            raise
        except Permanent:  # the LMS does not know it any more: its documents keep the name that they have
            continue
