"""
Sending a mail once, although the outbox delivers its message at least once.

A *mark* in a table of the app says that the mail was sent: a worker that finds it set sends nothing. Over SMTP it is
committed together with the mail's last line (``common.smtp``). When the server refuses that line, or the connection
breaks before the answer, it is set back and the mail is sent again with the same Message-ID. Other e-mail backends do
not show when they send the last line. There it is committed after the mail was sent, and a worker that is killed in
between leads to a second mail with the same Message-ID.
"""

from __future__ import annotations

import smtplib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.db import DatabaseError, transaction

from badges.common import smtp
from badges.common.error_messages import storable_message
from badges.exceptions import Permanent, Retryable, SharedProblem

# The circuit of the mail server: while the server is down, all mail waits.
CIRCUIT = "smtp"


class SentMark(ABC):
    """The note of an app that a mail was sent. ``is_set``: this worker has set it."""

    def __init__(self) -> None:
        self.is_set = False

    @abstractmethod
    def write(self) -> bool:
        """
        Set the mark in the caller's transaction, or in one of its own, and ``is_set`` to whether it was set by this.

        Returns ``is_set``: False when the mark is set already, or when there is nothing to tell any more.
        """

    @abstractmethod
    def write_again(self) -> None:
        """Call ``write`` until the database answers. The mail was sent already."""

    @abstractmethod
    def undo(self) -> None:
        """Set the mark back, as soon as the database answers: the mail was not sent."""

    @contextmanager
    def transaction(self) -> Iterator[bool]:
        """
        Set it in a transaction, which commits when the context is left.

        Yields False when another worker has set it, or there is nothing to tell any more.
        """
        try:
            with transaction.atomic():
                yield self.write()
        except DatabaseError:
            if not self.is_set:
                raise
            # The mail was sent, and the commit failed: write it again as soon as the database answers.
            self.write_again()
        except BaseException:  # the last line was not sent, and the transaction was rolled back
            self.is_set = False
            raise


def new_email(
    *, subject: str, text: str, html: str, sender: str | None, to: str, message_id: str, headers: Mapping[str, str] = {}
) -> EmailMultiAlternatives:
    """
    Return a mail to one person, as text and HTML.

    ``sender`` is DEFAULT_FROM_EMAIL without a value. ``message_id`` is the same at every attempt to send this mail.
    """
    sender = sender or settings.DEFAULT_FROM_EMAIL
    # The sender's domain: the same in every process.
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    email = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=text,
        from_email=sender,
        to=[to],
        headers={"Message-ID": f"<{message_id}@{domain}>", "Auto-Submitted": "auto-generated", **headers},
    )
    email.attach_alternative(html, "text/html")
    return email


def send_once(email: EmailMultiAlternatives, mark: SentMark, *, timeout: float, sender_setting: str) -> None:
    """
    Send a mail and set its mark.

    ``timeout`` is the number of seconds to wait for an SMTP server, unless EMAIL_TIMEOUT says it. ``sender_setting`` is
    the name of the setting with the sender's address, for the operator. Raises Retryable or Permanent; their messages
    hold no address. What an operator has to correct for every mail is a SharedProblem of the mail server's circuit.
    """
    connection = get_connection(**_connection_options(timeout))
    try:
        if isinstance(connection, SmtpBackend):
            _send_by_smtp(connection, email, mark)
        else:
            email.connection = connection
            email.send()
            mark.write_again()
    except (smtplib.SMTPException, OSError) as error:
        raise _as_delivery_error(error, sender_setting) from error
    except ValueError as error:  # Django and Python raise it for something that is no address
        raise Permanent(
            "The learner's e-mail address, or the sender's, cannot be used. Correct the account's address, or "
            f"{sender_setting}, then retry."
        ) from error


def _send_by_smtp(backend: SmtpBackend, email: EmailMultiAlternatives, mark: SentMark) -> None:
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


def _as_delivery_error(error: smtplib.SMTPException | OSError, sender_setting: str) -> Retryable | Permanent:
    """
    Return Retryable or Permanent. The reply of the server may quote an address, so only its code is kept.

    What would go wrong with every mail is a shared problem, or an outage: no mail is lost by it.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        if code >= 500:
            return Permanent(f"The mail server refuses the learner's address ({code}). Correct it in the account.")
        return Retryable(f"The mail server does not take mail for this learner now ({code}).")
    if isinstance(error, (smtplib.SMTPConnectError, smtplib.SMTPHeloError)):
        return Retryable(f"The mail server does not serve this host now ({error.smtp_code}).", circuit=True)
    if isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code
        if isinstance(error, smtplib.SMTPAuthenticationError):
            problem = f"The mail server refuses our log-in ({code}). Check EMAIL_HOST_USER and EMAIL_HOST_PASSWORD."
            return SharedProblem(problem, circuit=CIRCUIT) if code >= 500 else Retryable(problem, circuit=True)
        if code < 500:
            return Retryable(f"The mail server says: not now ({code}).", circuit=code == 421)
        if isinstance(error, smtplib.SMTPSenderRefused):
            problem = (
                f"The mail server refuses the sender ({code}). Check {sender_setting}, EMAIL_HOST_USER and its log."
            )
            return SharedProblem(problem, circuit=CIRCUIT)
        return Permanent(f"The mail server refuses the mail ({code}). Its log says why; then retry.")
    return Retryable(f"The mail server cannot be reached, or went away: {storable_message(error)}", circuit=True)


def _connection_options(timeout: float) -> dict[str, Any]:
    """Return the options of the connection: SMTP always has a time-out."""
    by_smtp = settings.EMAIL_BACKEND.endswith(".smtp.EmailBackend")
    return {"timeout": float(settings.EMAIL_TIMEOUT or timeout)} if by_smtp else {}


def _close(close: Callable[[], None]) -> None:
    try:
        close()
    except (smtplib.SMTPException, OSError):
        return  # the mail was sent, or its error is raised already
