"""
The outbox channel ``credential-mail``: tells a learner by mail that a document is there, once.

A message of the outbox holds ids only. Everything else is looked up when the mail is sent, so that the mail is right at
that time, and a retired learner gets none.

The outbox delivers a message at least once. ``Credential.mailed`` keeps the learner from getting two mails: the worker
that finds it set sends nothing. Over SMTP it is committed together with the mail's last line (``smtp``). When the
server refuses that line, or the connection breaks before the answer, it is set back and the mail is sent again with the
same Message-ID. Other e-mail backends do not show when they send the last line. There it is committed after the mail
was sent, and a worker that is killed in between leads to a second mail with the same Message-ID.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import parseaddr
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.db import DatabaseError, transaction
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from badges import api as badges
from badges.database import retry_transient
from badges.exceptions import Permanent, Retryable
from credentials_config.conf import config
from credentials_config.issuing import documents, smtp
from credentials_config.issuing.document_context import document_date, supported_language
from credentials_config.issuing.errors import DATABASE_GIVE_UP_SECONDS, storable_message
from credentials_config.models import Credential, CredentialStatus

CHANNEL = "credential-mail"
CIRCUIT = "smtp"


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

    def __call__(self, message: Any) -> None:
        payload = message.read()
        credential = _available(str(payload["credential"]))
        if credential is None or credential.mailed >= int(payload.get("number", 0)):
            return
        email = email_for(credential, message_id=str(message.id))
        if email is not None:
            _send(email, _MailedMark(credential))

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
        email = EmailMultiAlternatives(
            subject=gettext("Your credential for %(context)s is ready") % {"context": context["context"]},
            body=render_to_string("lms_credentials_config/mail/available.txt", context),
            from_email=config.mail["sender"] or settings.DEFAULT_FROM_EMAIL,
            to=[address],
            headers={"Message-ID": f"<{message_id}@{_domain()}>", "Auto-Submitted": "auto-generated"},
        )
        email.attach_alternative(render_to_string("lms_credentials_config/mail/available.html", context), "text/html")
    return email


class _MailedMark:
    """``Credential.mailed``: the note that the learner was told of the newest document."""

    def __init__(self, credential: Credential):
        self._pk, self._before, self._now = credential.pk, credential.mailed, credential.document_number
        self.is_set = False

    @contextmanager
    def transaction(self) -> Iterator[bool]:
        """
        Set it in a transaction, which commits when the context is left.

        Yields False when another worker has set it, or the credential has changed meanwhile.
        """
        try:
            with transaction.atomic():
                yield self._write()
        except DatabaseError:
            if not self.is_set:
                raise
            # The mail was sent, and the commit failed: write it again as soon as the database answers.
            retry_transient(self._write, give_up_seconds=DATABASE_GIVE_UP_SECONDS)
        except BaseException:  # the last line was not sent, and the transaction was rolled back
            self.is_set = False
            raise

    def set(self) -> None:
        retry_transient(self._write, give_up_seconds=DATABASE_GIVE_UP_SECONDS)

    def undo(self) -> None:
        Credential.objects.filter(pk=self._pk, mailed=self._now).update(mailed=self._before)

    def _write(self) -> bool:
        unchanged = Credential.objects.filter(pk=self._pk, mailed=self._before, document_number=self._now)
        self.is_set = bool(unchanged.filter(status=CredentialStatus.AVAILABLE).update(mailed=self._now))
        return self.is_set


def _available(credential_id: str) -> Credential | None:
    """Return a credential that has a document; None when there is nothing to tell any more."""
    rows = Credential.objects.select_related("learner__user").filter(pk=credential_id)
    return rows.filter(status=CredentialStatus.AVAILABLE).exclude(document="").first()


def _send(email: EmailMultiAlternatives, mark: _MailedMark) -> None:
    connection = get_connection(**_connection_options())
    try:
        if isinstance(connection, SmtpBackend):
            _send_by_smtp(connection, email, mark)
        else:
            email.connection = connection
            email.send()
            mark.set()
    except (smtplib.SMTPException, OSError) as error:
        raise _as_delivery_error(error) from error
    except ValueError as error:  # Django and Python raise it for something that is no address
        raise Permanent(
            "The learner's e-mail address, or the sender's, cannot be used. Correct the account's address, or "
            "CREDENTIALS_CONFIG['mail']['sender'], then retry."
        ) from error


def _send_by_smtp(backend: SmtpBackend, email: EmailMultiAlternatives, mark: _MailedMark) -> None:
    backend.open()
    assert backend.connection is not None
    try:
        smtp.send(backend.connection, email, transaction=mark.transaction)
    except smtp.Cancelled as error:
        raise Retryable("The credential changed, or another worker told the learner, at the same moment.") from error
    except BaseException:
        if mark.is_set:
            mark.undo()
        raise
    finally:
        _close(backend.close)


def _as_delivery_error(error: smtplib.SMTPException | OSError) -> Retryable | Permanent:
    """Return Retryable or Permanent. The reply of the server may quote an address, so only its code is kept."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        if code >= 500:
            return Permanent(f"The mail server refuses the learner's address ({code}). Correct it in the account.")
        return Retryable(f"The mail server does not take mail for this learner now ({code}).")
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Retryable(
            "The mail server refuses our log-in. Check EMAIL_HOST_USER and EMAIL_HOST_PASSWORD.", circuit=True
        )
    if isinstance(error, smtplib.SMTPResponseException):
        temporary = error.smtp_code < 500 or isinstance(error, smtplib.SMTPConnectError)
        if temporary:
            return Retryable(f"The mail server says: not now ({error.smtp_code}).", circuit=error.smtp_code == 421)
        return Permanent(f"The mail server refuses the mail ({error.smtp_code}). Its log says why; then retry.")
    return Retryable(f"The mail server cannot be reached, or went away: {storable_message(error)}", circuit=True)


def _connection_options() -> dict[str, Any]:
    """Return the options of the connection: SMTP always has a time-out."""
    by_smtp = settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend")
    return {"timeout": float(settings.EMAIL_TIMEOUT or config.mail["timeout"])} if by_smtp else {}


def _domain() -> str:
    """Return the domain of Message-IDs: the sender's, the same in every process and on every try."""
    sender = parseaddr(config.mail["sender"] or settings.DEFAULT_FROM_EMAIL)[1]
    return sender.rpartition("@")[2] or "localhost"


def _close(close: Callable[[], None]) -> None:
    try:
        close()
    except (smtplib.SMTPException, OSError):
        return  # the mail was sent, or its error is raised already
