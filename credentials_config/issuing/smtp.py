"""
Sending one message by SMTP, with the caller's own last word together with the last line.

``smtplib`` sends a message and its end in one go and then waits, so whoever is killed while it waits cannot know
whether the message is out. Here everything but the last line, the one that makes the server take the message, is sent
first. Then that line and the caller's commit leave this process back to back. Killed before: the server throws away
what it has, and nothing is written down. Killed after: both are on their way, and both arrive.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.message import sanitize_address

_FIRST_DOT = re.compile(rb"(?m)^\.")
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Abandoned(Exception):
    """The caller changed its mind before the last line; the server has nothing."""


def send(
    connection: smtplib.SMTP, message: EmailMessage, *, last_word: Callable[[], AbstractContextManager[bool]]
) -> None:
    """
    Send a message over an open connection; returns when the server has taken it.

    ``last_word`` opens a context when only the last line is missing. It says whether to go on (else Abandoned is
    raised), and commits when it is left, right after the line was sent. Raises what smtplib raises, and ValueError for
    addresses that are none; the connection is of no more use then.
    """
    sender = _bare(message.from_email)
    recipients = [_bare(address) for address in message.recipients()]
    content = message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own takes it
    connection.ehlo_or_helo_if_needed()
    _expect(connection.mail(sender), 250, smtplib.SMTPSenderRefused, sender)
    for recipient in recipients:
        code, words = connection.rcpt(recipient)
        if code not in (250, 251):
            raise smtplib.SMTPRecipientsRefused({recipient: (code, words)})
    _expect(connection.docmd("DATA"), 354, smtplib.SMTPDataError)
    body = _FIRST_DOT.sub(b"..", _LINE_END.sub(b"\r\n", content))
    connection.send(body if body.endswith(b"\r\n") else body + b"\r\n")
    with last_word() as go_on:
        if not go_on:
            connection.close()
            raise Abandoned
        connection.send(b".\r\n")
    _expect(connection.getreply(), 250, smtplib.SMTPDataError)


def _bare(address: str) -> str:
    """Return an address as it goes over the wire: without a name, its domain in ASCII."""
    bare = parseaddr(sanitize_address(address, settings.DEFAULT_CHARSET))[1]
    if "@" not in bare:
        raise ValueError("an address without a domain")
    return bare


def _expect(reply: tuple[int, bytes], code: int, error: type[Exception], *more: Any) -> None:
    if reply[0] != code:
        raise error(reply[0], reply[1], *more)
