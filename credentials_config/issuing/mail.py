"""
The outbox channel ``credential-mail``: tells a learner by mail that a document is there, once.

A message of the outbox holds ids only. Everything else is looked up when the mail is sent, so that the mail is right at
that time, and a retired learner gets none. ``Credential.mailed`` is the mark that keeps the learner from getting two
mails (``badges.common.mail``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from badges import api as badges
from badges.common.languages import supported_language
from badges.common.mail import CIRCUIT, SentMark, new_email, send_once
from badges.database import retry_transient
from credentials_config.conf import config
from credentials_config.issuing import documents
from credentials_config.issuing.document_context import document_date
from credentials_config.issuing.errors import DATABASE_GIVE_UP_SECONDS
from credentials_config.models import Credential, CredentialStatus

CHANNEL = "credential-mail"


def announce(documents_made: Iterable[tuple[int, UUID, int]]) -> None:
    """
    Have learners told by mail, in the caller's transaction.

    ``documents_made``: id of the learner, id of the credential, number of the document.
    """
    if not config.mail["enabled"]:
        return
    messages = [(str(learner), {"credential": str(pk), "number": number}) for learner, pk, number in documents_made]
    if messages:
        badges.enqueue_all(CHANNEL, messages)


class MailChannel:
    """Delivers the messages of the channel."""

    def __call__(self, message: Any) -> badges.HandlerResult | None:
        payload = message.read()
        credential = _available(str(payload["credential"]))
        if credential is None or credential.mailed >= int(payload.get("number", 0)):
            return badges.HandlerResult.NOTHING_TO_DO
        email = email_for(credential, message_id=str(message.id))
        if email is None:
            return badges.HandlerResult.NOTHING_TO_DO
        sender_setting = "CREDENTIALS_CONFIG['mail']['sender']"
        send_once(email, _MailedMark(credential), timeout=config.mail["timeout"], sender_setting=sender_setting)
        return None

    def circuit(self, message: Any) -> str | None:
        """Return the name of the mail server's circuit: while the server is down, all mail waits."""
        return CIRCUIT


channel = MailChannel()


def email_for(credential: Credential, *, message_id: str) -> EmailMultiAlternatives | None:
    """Return the mail about a document, in the learner's language; None when the learner has no address."""
    user = credential.learner.user
    address = getattr(user, "email", "") if user is not None and user.is_active else ""
    if not address:
        return None
    with translation.override(supported_language(credential.language)):
        context = {
            "name": credential.learner_name,
            "context": " ".join(credential.context_name.split()),
            "issue_date": document_date(credential.issued_at, credential.language),
            "link": documents.link(credential.document, credential.verification_code),
            "verify_url": documents.verify_url(credential.verification_code),
        }
        return new_email(
            subject=gettext("Your credential for %(context)s is ready") % {"context": context["context"]},
            text=render_to_string("lms_credentials_config/mail/available.txt", context),
            html=render_to_string("lms_credentials_config/mail/available.html", context),
            sender=config.mail["sender"],
            to=address,
            message_id=message_id,
        )


class _MailedMark(SentMark):
    """``Credential.mailed``: the note that the learner was told of the newest document."""

    def __init__(self, credential: Credential):
        super().__init__()
        self._pk, self._before, self._now = credential.pk, credential.mailed, credential.document_number

    def write(self) -> bool:
        unchanged = Credential.objects.filter(pk=self._pk, mailed=self._before, document_number=self._now)
        self.is_set = bool(unchanged.filter(status=CredentialStatus.AVAILABLE).update(mailed=self._now))
        return self.is_set

    def write_again(self) -> None:
        retry_transient(self.write, give_up_seconds=DATABASE_GIVE_UP_SECONDS)

    def undo(self) -> None:
        marked = Credential.objects.filter(pk=self._pk, mailed=self._now)
        retry_transient(lambda: marked.update(mailed=self._before), give_up_seconds=DATABASE_GIVE_UP_SECONDS)


def _available(credential_id: str) -> Credential | None:
    """Return a credential that has a document; None when there is nothing to tell any more."""
    rows = Credential.objects.select_related("learner__user").filter(pk=credential_id)
    return rows.filter(status=CredentialStatus.AVAILABLE).exclude(document="").first()
