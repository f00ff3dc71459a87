"""
Sending one mail by SMTP so that a killed worker does not send it a second time.

``smtplib`` sends a message with its last line, the one that makes the server accept it, and then waits for the answer:
a worker that is killed while it waits cannot know whether the mail was sent. A stable Message-ID alone does not help,
since SMTP servers deliver both copies and few mailboxes hide the second one. So everything but the last line is sent
first; then the last line is sent and the caller's transaction committed, one directly after the other. A worker killed
before that leaves a mail that the server throws away, and no note of it. A worker killed after it leaves both.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.message import sanitize_address

_FIRST_DOT = re.compile(rb"(?m)^\.")
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Cancelled(Exception):
    """The caller cancelled the mail before its last line. The server has accepted nothing."""


def send(
    connection: smtplib.SMTP, message: EmailMessage, *, transaction: Callable[[], AbstractContextManager[bool]]
) -> None:
    """
    Send a mail over an open connection; returns when the server has accepted it.

    ``transaction`` is opened before the last line is sent, and left, which commits it, directly afterwards. It yields
    whether to send the line; if not, Cancelled is raised. Raises what smtplib raises, and ValueError for something that
    is no address. The connection cannot be used again after an error.
    """
    sender = _bare(message.from_email)
    recipients = [_bare(address) for address in message.recipients()]
    content = message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own accepts it
    connection.ehlo_or_helo_if_needed()
    code, reply = connection.mail(sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, reply, sender)
    for recipient in recipients:
        code, reply = connection.rcpt(recipient)
        if code not in (250, 251):
            raise smtplib.SMTPRecipientsRefused({recipient: (code, reply)})
    code, reply = connection.docmd("DATA")
    if code != 354:
        raise smtplib.SMTPDataError(code, reply)
    body = _FIRST_DOT.sub(b"..", _LINE_END.sub(b"\r\n", content))
    connection.send(body if body.endswith(b"\r\n") else body + b"\r\n")
    with transaction() as go_on:
        if not go_on:
            connection.close()
            raise Cancelled
        connection.send(b".\r\n")
    code, reply = connection.getreply()
    if code != 250:
        raise smtplib.SMTPDataError(code, reply)


def _bare(address: str) -> str:
    """Return an address as SMTP sends it: without a name, its domain in ASCII."""
    bare = parseaddr(sanitize_address(address, settings.DEFAULT_CHARSET))[1]
    if "@" not in bare:
        raise ValueError("an address without a domain")
    return bare
