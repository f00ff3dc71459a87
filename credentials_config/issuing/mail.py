"""
The outbox channel ``credential-mail``: tells a learner that a document is there, once.

The message of the outbox holds ids; everything else is looked up when it is sent, so it says what is true then, and a
retired learner is not written to. The outbox delivers at least once. Over SMTP, ``Credential.mailed`` is committed
together with the mail's last line: whoever comes after a kill sees that the mail is on its way, and sends no second
one. When the server refuses that line, or the connection breaks before it answers, the mark is taken back and the mail
is sent again under the same Message-ID, by which receivers know it. Other e-mail backends hide their last line: there
the mark follows the sending, and a kill between both may send a second mail, with the same Message-ID.
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
from credentials_config.issuing.document_context import document_date, spoken
from credentials_config.issuing.errors import said
from credentials_config.models import Credential, CredentialStatus

CHANNEL = "credential-mail"
CIRCUIT = "smtp"


def announce(news: Iterable[tuple[int, UUID, int]]) -> None:
    """Have learners told, in the caller's transaction: ids of learner and credential, number of the document."""
    if not config.mail["enabled"]:
        return
    messages = [(str(learner), {"credential": str(pk), "number": number}) for learner, pk, number in news]
    if messages:
        badges.enqueue_all(CHANNEL, messages)


class MailChannel:
    """Delivers the messages of the channel."""

    def __call__(self, message: Any) -> None:
        payload = message.read()
        credential = _credential(payload)
        if credential is None or credential.mailed >= int(payload.get("number", 0)):
            return
        letter = letter_for(credential, message_id=str(message.id))
        if letter is not None:
            _send(letter, _Mark(credential))

    def circuit(self, message: Any) -> str | None:
        """Return the mail server's circuit: when it is down, all mail rests."""
        return CIRCUIT


tell = MailChannel()


def letter_for(credential: Credential, *, message_id: str) -> EmailMultiAlternatives | None:
    """Return the mail about a document, in the learner's language; None when there is nobody to write to."""
    user = credential.learner.user
    address = getattr(user, "email", "") if user is not None and user.is_active else ""
    if not address:
        return None
    with translation.override(spoken(credential.language)):
        words = {
            "name": credential.learner_name,
            "context": " ".join(credential.context_name.split()),
            "issue_date": document_date(credential.issued_at, credential.language),
            "link": documents.link(credential.document, credential.verification_code),
            "verify_url": documents.verify_url(credential.verification_code),
        }
        letter = EmailMultiAlternatives(
            subject=gettext("Your credential for %(context)s is ready") % {"context": words["context"]},
            body=render_to_string("lms_credentials_config/mail/available.txt", words),
            from_email=config.mail["sender"] or settings.DEFAULT_FROM_EMAIL,
            to=[address],
            headers={"Message-ID": f"<{message_id}@{_domain()}>", "Auto-Submitted": "auto-generated"},
        )
        letter.attach_alternative(render_to_string("lms_credentials_config/mail/available.html", words), "text/html")
    return letter


class _Mark:
    """The note on a credential that its learner was told of the newest document."""

    def __init__(self, credential: Credential):
        self._pk, self._before, self._now = credential.pk, credential.mailed, credential.document_number
        self.is_set = False

    @contextmanager
    def committed(self) -> Iterator[bool]:
        """Note it, and commit when this is left. False: another worker did, or the credential changed meanwhile."""
        try:
            with transaction.atomic():
                yield self._write()
        except DatabaseError:
            if self.is_set:  # the mail is out: what the commit could not say is said as soon as it can be
                retry_transient(self._write, patience=60.0)
            else:
                raise
        except BaseException:  # the last line did not leave, so nothing was noted
            self.is_set = False
            raise

    def set(self) -> None:
        """Note it."""
        retry_transient(self._write, patience=60.0)

    def take_back(self) -> None:
        Credential.objects.filter(pk=self._pk, mailed=self._now).update(mailed=self._before)

    def _write(self) -> bool:
        ours = Credential.objects.filter(pk=self._pk, mailed=self._before, document_number=self._now)
        self.is_set = bool(ours.filter(status=CredentialStatus.AVAILABLE).update(mailed=self._now))
        return self.is_set


def _credential(payload: dict[str, Any]) -> Credential | None:
    """Return the credential of a message; None when there is nothing to tell any more."""
    known = Credential.objects.select_related("learner__user").filter(pk=str(payload["credential"]))
    credential = known.filter(status=CredentialStatus.AVAILABLE).first()
    return credential if credential is not None and credential.document else None


def _send(letter: EmailMultiAlternatives, mark: _Mark) -> None:
    connection = get_connection(**_options())
    try:
        if isinstance(connection, SmtpBackend):
            _send_by_smtp(connection, letter, mark)
        else:
            letter.connection = connection
            letter.send()
            mark.set()
    except (smtplib.SMTPException, OSError) as error:
        raise _translated(error) from error
    except ValueError as error:  # what Django and Python say of addresses that are none
        raise Permanent(
            "The learner's e-mail address, or the sender's, cannot be used. Correct the account's address, or "
            "CREDENTIALS_CONFIG['mail']['sender'], then retry."
        ) from error


def _send_by_smtp(backend: SmtpBackend, letter: EmailMultiAlternatives, mark: _Mark) -> None:
    backend.open()
    assert backend.connection is not None
    try:
        smtp.send(backend.connection, letter, last_word=mark.committed)
    except smtp.Abandoned as error:
        raise Retryable("The credential changed, or another worker told the learner, at the same moment.") from error
    except BaseException:
        if mark.is_set:
            mark.take_back()
        raise
    finally:
        _quietly(backend.close)


def _translated(error: smtplib.SMTPException | OSError) -> Retryable | Permanent:
    """Say whose turn it is: the server's, in a while, or an operator's. Replies may quote addresses, so codes only."""
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
    return Retryable(f"The mail server cannot be reached, or went away: {said(error)}", circuit=True)


def _options() -> dict[str, Any]:
    """Return what the connection is made with: SMTP never waits for ever."""
    by_smtp = settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend")
    return {"timeout": float(settings.EMAIL_TIMEOUT or config.mail["timeout"])} if by_smtp else {}


def _domain() -> str:
    """Return the domain of Message-IDs: the sender's, the same in every process and on every try."""
    sender = parseaddr(config.mail["sender"] or settings.DEFAULT_FROM_EMAIL)[1]
    return sender.rpartition("@")[2] or "localhost"


def _quietly(close: Callable[[], Any]) -> None:
    try:
        close()
    except (smtplib.SMTPException, OSError):
        return  # the mail is out, or its error is on the way
