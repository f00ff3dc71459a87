"""
The public Python functions of scheduled credentials: for the host, for plug-ins, and for admin, REST API and commands.

Everything that is not listed in ``__all__`` is private. The functions check no permissions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from badges import api as badges
from credentials_config import lms
from credentials_config.contracts import JSON, Context, Document, DocumentContext, Eligibility, Person
from credentials_config.issuing import codes, documents, renderers, run_queue
from credentials_config.issuing.document_context import document_context, document_date
from credentials_config.issuing.lifecycle import (
    Refused,
    expire,
    invalidate,
    issue,
    reissue,
    retry,
    retry_configuration,
)
from credentials_config.issuing.maintenance import reopen
from credentials_config.issuing.search import PersonEligibility, Search
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, CredentialType, RunCause
from credentials_config.schedules import Decision, decide

__all__ = [
    "Context",
    "Decision",
    "Document",
    "Eligibility",
    "Person",
    "PersonEligibility",
    "Refused",
    "credential_by_code",
    "credentials_of",
    "decision_for",
    "eligibility",
    "expire",
    "generate",
    "invalidate",
    "issue",
    "link_to",
    "preview",
    "reissue",
    "reopen",
    "retry",
    "retry_configuration",
    "survey",
]


def generate(
    configuration: CredentialConfiguration, *, person: Any = None, ignore_dates: bool = False
) -> CredentialRun:
    """
    Request a run of a configuration now, and return it. A worker, the sweep or ``credentials_run`` carries it out.

    When a run of this configuration is open already, that run is returned. ``person`` is the user of the host who asks.
    ``ignore_dates``: the run ignores start, availability and closure of the context.
    """
    return run_queue.request(configuration, cause=RunCause.PERSON, person=person, ignore_dates=ignore_dates)


def decision_for(configuration: CredentialConfiguration, *, now: dt.datetime | None = None) -> Decision:
    """
    Return what a schedule that fires at ``now`` would do: Run, Skip, FinalRun or Closed. One request to the LMS.

    Raises Retryable when the LMS does not answer, and Permanent when it does not know the context.
    """
    context = lms.client().context(configuration.context_key)
    return decide(configuration.schedule_rules, context, now or timezone.now())


def survey(configuration: CredentialConfiguration) -> Iterator[PersonEligibility]:
    """
    Yield a finding for every learner of the context: who would get a credential, who not and why, and who has one.

    Nothing is written. The learners are read chunk by chunk, so the first findings come before the last request to the
    LMS. Raises Permanent, with the remedy, when the configuration cannot be used, and Retryable when the LMS does not
    answer.
    """
    for _looked_at, findings in Search(configuration).chunks(everyone=True):
        yield from findings


def eligibility(configuration: CredentialConfiguration, people: list[Person]) -> list[PersonEligibility]:
    """
    Return a finding for each of these people, in their order, whether they have a credential or not.

    Nothing is written. ``people``: a few hundred at most. Raises Permanent and Retryable as ``survey`` does.
    """
    return Search(configuration).ask(people)


def preview(
    credential_type: CredentialType,
    options: dict[str, JSON],
    *,
    name: str = "Ada Lovelace",
    context_name: str = "Demonstration course",
    language: str = "",
    now: dt.datetime | None = None,
) -> Document:
    """
    Return a document with sample data. Nothing is written, and the type need not be saved.

    ``options`` are those of a configuration; they are merged over those of the type. ``language`` is a code such as
    ``pt-br``; blank: the host's. ``now`` is the date on the document. Raises GenerationError when the document cannot
    be made, and Permanent when the generator or the options cannot be used; both name the remedy.
    """
    sample = CredentialConfiguration(credential_type=credential_type, options=options)
    code = codes.new_code()
    context = DocumentContext(
        name=name,
        context_name=document_context(context_name, ""),
        issue_date=document_date(now or timezone.now(), language),
        verify_url=documents.verify_url(code),
        verify_code=code,
        language=language,
    )
    with renderers.renderer_for(sample) as renderer:
        return renderer.render(context)


def credentials_of(person: badges.Person) -> QuerySet[Credential]:
    """
    Return all scheduled credentials of a person, newest first, also invalidated and expired ones.

    ``person``: a learner, a user of the host, an LMS user id, or a username. Finding the learner costs one statement.
    """
    learner = badges.learner_of(person)
    rows = Credential.objects.filter(learner=learner) if learner is not None else Credential.objects.none()
    return rows.select_related("configuration__credential_type", "learner__user")


def credential_by_code(typed: str) -> Credential | None:
    """
    Return the credential with a verification code, whatever its status; None when there is none.

    ``typed``: the code as people type it, with or without spaces and dashes. At most one statement.
    """
    code = codes.normalized(typed)
    if code is None:
        return None
    related = Credential.objects.select_related("configuration__credential_type")
    return related.filter(verification_code=code).first()


def link_to(credential: Credential) -> str | None:
    """
    Return the link to a credential's document, for its learner; None while there is no document.

    Raises Permanent when CREDENTIALS_CONFIG["public_url"] is not set.
    """
    return documents.link(credential.document, credential.verification_code) if credential.document else None
