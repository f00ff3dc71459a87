"""A real SMTP server that keeps what it accepted, and refuses, delays and drops when a test says so."""

from __future__ import annotations

import asyncio
import email
import email.policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.services.service import free_port


class _FinishingSmtp(SMTP):
    """Finishes a mail whose sender is gone, as mail servers do. aiosmtpd itself drops it."""

    def connection_lost(self, error: Exception | None) -> None:
        self.loop.call_later(0.5, super().connection_lost, error)


class _SmtpController(Controller):
    def factory(self) -> SMTP:
        return _FinishingSmtp(self.handler, **self.SMTP_kwargs)


class SmtpServer:
    """
    ``with SmtpServer() as server``: ``server.emails`` are those that it accepted, with its answer 250.

    ``refuse`` answers with a code instead, at a step (``MAIL``, ``RCPT`` or ``DATA``); ``delay`` waits before it
    answers the last line, having accepted the mail; ``drop`` cuts the connection instead of answering, ``taken``
    (accepted) or not.
    """

    def __init__(self) -> None:
        self.emails: list[EmailMessage] = []
        self.begun = 0
        self.port = free_port()
        self._refusals: list[tuple[str, str]] = []
        self._delays: list[float] = []
        self._drops: list[bool] = []
        self._controller: Controller | None = None

    @property
    def url(self) -> dict[str, Any]:
        """The settings of Django that lead to this server."""
        return {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": self.port}

    def refuse(self, code: int, *, at: str = "DATA", times: int = 1) -> None:
        self._refusals += [(at, f"{code} no")] * times

    def delay(self, seconds: float, *, times: int = 1) -> None:
        self._delays += [seconds] * times

    def drop(self, *, taken: bool = False, times: int = 1) -> None:
        self._drops += [taken] * times

    def open(self) -> None:
        self._controller = _SmtpController(self, hostname="127.0.0.1", port=self.port, server_hostname="mail.test")
        self._controller.start()

    def close(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> SmtpServer:
        self.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Called by aiosmtpd

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self._refusal("MAIL"):
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self._refusal("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.begun += 1
        if refusal := self._refusal("DATA"):
            return refusal
        if self._drops:
            if self._drops.pop(0):
                self._take(envelope)
            server.transport.close()
            return "421 gone"
        self._take(envelope)
        if self._delays:
            await asyncio.sleep(self._delays.pop(0))
        return "250 OK"

    def _take(self, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        self.emails.append(email.message_from_bytes(content, policy=email.policy.default))  # type: ignore[arg-type]

    def _refusal(self, step: str) -> str | None:
        for index, (at, reply) in enumerate(self._refusals):
            if at == step:
                del self._refusals[index]
                return reply
        return None
