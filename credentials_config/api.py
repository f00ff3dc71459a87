"""The door of scheduled credentials for Python code: of the host, and of our own admin, REST API and commands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from badges import api as badges
from credentials_config import lms
from credentials_config.contracts import JSON, Context, Document, DocumentContext, Eligibility, Person
from credentials_config.issuing import codes, documents, renderers
from credentials_config.issuing.document_context import document_context, document_date
from credentials_config.issuing.housekeeping import reopen
from credentials_config.issuing.lifecycle import (
    Refused,
    expire,
    invalidate,
    issue,
    reissue,
    retire,
    retry,
    retry_configuration,
)
from credentials_config.issuing.runs import gates_of, request
from credentials_config.issuing.search import Finding, Search
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, CredentialType, RunCause
from credentials_config.schedules import Decision, decide

__all__ = [
    "Context",
    "Decision",
    "Document",
    "Eligibility",
    "Finding",
    "Person",
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
    "retire",
    "retry",
    "retry_configuration",
    "survey",
]


def generate(
    configuration: CredentialConfiguration, *, person: Any = None, override_gates: bool = False
) -> CredentialRun:
    """
    Ask for a run of a configuration now; a worker, the sweep or ``credentials_run`` carries it out.

    When one is open already it is returned. ``person`` is the user who asks. ``override_gates``: in spite of the dates.
    """
    return request(configuration, cause=RunCause.PERSON, person=person, override_gates=override_gates)


def decision_for(configuration: CredentialConfiguration, *, now: dt.datetime | None = None) -> Decision:
    """Return what a schedule that fires now would do, by the context's dates as the LMS has them."""
    context = lms.client().context(configuration.context_key)
    return decide(gates_of(configuration), context, now or timezone.now())


def survey(configuration: CredentialConfiguration) -> Iterator[Finding]:
    """
    Yield everyone who may be asked about: who would get a credential, who not and why, who has one. Writes nothing.

    Raises Permanent, with the remedy, when that cannot be told at all, and Retryable when the LMS does not answer.
    """
    for _looked_at, findings in Search(configuration).chunks(everyone=True):
        yield from findings


def eligibility(configuration: CredentialConfiguration, people: list[Person]) -> list[Finding]:
    """Return how far these people are, whether they have a credential or not. Raises as ``survey`` does."""
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
    Make a document with sample words; ``options`` are the configuration's, laid over the type's.

    Raises GenerationError or Permanent with the remedy.
    """
    sample = CredentialConfiguration(credential_type=credential_type, options=options)
    code = codes.new_code()
    words = DocumentContext(
        name=name,
        context_name=document_context(context_name, ""),
        issue_date=document_date(now or timezone.now(), language),
        verify_url=documents.verify_url(code),
        verify_code=code,
        language=language,
    )
    with renderers.renderer_for(sample) as renderer:
        return renderer.render(words)


def credentials_of(person: badges.Person) -> QuerySet[Credential]:
    """Return all scheduled credentials of a person (learner, user, LMS user id or username), newest first."""
    learner = badges.learner_of(person)
    rows = Credential.objects.filter(learner=learner) if learner is not None else Credential.objects.none()
    return rows.select_related("configuration__credential_type", "learner__user")


def credential_by_code(typed: str) -> Credential | None:
    """Return the credential with a verification code, as people type it; at most one statement."""
    code = codes.normal(typed)
    if code is None:
        return None
    related = Credential.objects.select_related("configuration__credential_type")
    return related.filter(verification_code=code).first()


def link_to(credential: Credential) -> str | None:
    """Return the link to a credential's document, for its learner; None while there is none."""
    return documents.link(credential.document, credential.verification_code) if credential.document else None
