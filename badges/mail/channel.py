"""
The outbox channel ``mail``: sends a mail about a credential to its learner, once.

Everything is looked up when the mail is sent, so the mail is right at that time. What is not true any more is not sent,
and that is no error: the badge was revoked or has ended, the account is gone, is not active or has no address, or the
learner has opted out.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import pgettext

from badges.awarding.models import UserCredential, held
from badges.catalog.models import BadgeTemplate
from badges.common.languages import supported_language
from badges.common.mail import CIRCUIT, SentMark, new_email, send_once
from badges.conf import config
from badges.database import retry_transient
from badges.exceptions import Permanent, Waiting
from badges.inserts import insert, new_row
from badges.mail import AWARD, REMINDER, opting_out, reminder_days, tells_of_awards
from badges.mail.models import CredentialMail
from badges.outbox.channels import HandlerResult
from badges.outbox.models import OutboxMessage
from badges.rules import badge_condition_slugs

# How long a mail waits for the setting without which its links lead nowhere.
PAUSE_SECONDS = 600.0

NO_PUBLIC_URL = (
    "LMS_BADGES_CONFIG['public_url'] is not set, so the links of mails would lead nowhere. Write the public address of "
    "this host there, such as https://credentials.example.org. The mail waits until then."
)


class MailChannel:
    """Delivers the messages of the channel."""

    def __call__(self, message: OutboxMessage) -> HandlerResult | None:
        now = timezone.now()
        if message.type not in _WANTED:
            raise Permanent(
                f"There is no mail about {message.type[:50]!r}. Bring the workers up to date, then retry; or remove "
                "the row."
            )
        credential = _credential(message, now) if _WANTED[message.type]() else None
        address = _address(credential)
        if credential is None or not address or opting_out.has_opted_out(credential.learner_id):
            return HandlerResult.NOTHING_TO_DO
        mark = _Mark(credential, message.type, now)
        if mark.is_set_already():
            return HandlerResult.NOTHING_TO_DO
        email = email_about(message.type, credential, to=address, message_id=str(message.id))
        sender_setting = "LMS_BADGES_CONFIG['mail']['sender']"
        send_once(email, mark, timeout=config.mail["timeout"], sender_setting=sender_setting)
        return None

    def circuit(self, message: OutboxMessage) -> str | None:
        """Return the name of the mail server's circuit."""
        return CIRCUIT


channel = MailChannel()

_WANTED = {AWARD: tells_of_awards, REMINDER: lambda: reminder_days() > 0}


def email_about(kind: str, credential: UserCredential, *, to: str, message_id: str) -> EmailMultiAlternatives:
    """Return the mail about a credential, in the learner's language. Raises Waiting without ``public_url``."""
    opt_out = public_address(reverse("lms_badges:mail-opt-out", args=[opting_out.token_of(credential.learner)]))
    with translation.override(supported_language(_language(credential.learner.user))):
        context = {
            "badge": credential.template.name,
            "ends_on": _last_day(credential.valid_until),
            "can_be_earned_again": kind == REMINDER and _can_be_earned_again(credential.template),
            "badges": public_address(reverse("lms_badges:learner-page")),
            "opt_out": opt_out,
        }
        return new_email(
            subject=_subject(kind, credential),
            text=render_to_string(f"lms_badges/mail/{kind}.txt", context),
            html=render_to_string(f"lms_badges/mail/{kind}.html", context),
            sender=config.mail["sender"],
            to=to,
            message_id=message_id,
            # RFC 8058: mail programs offer to opt out, and do it by a POST request.
            headers={"List-Unsubscribe": f"<{opt_out}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        )


def public_address(path: str) -> str:
    """Return the address of a page of this host, for mails. Raises Waiting without ``public_url``."""
    host = str(config.public_url or "").rstrip("/")
    if not host.startswith(("https://", "http://")):
        raise Waiting(NO_PUBLIC_URL, retry_after=PAUSE_SECONDS)
    return host + path


class _Mark(SentMark):
    """``CredentialMail.sent_at``: the note that the learner got the mail of a kind about a credential."""

    def __init__(self, credential: UserCredential, kind: str, now: dt.datetime):
        super().__init__()
        self._credential_id, self._kind, self._now = credential.pk, kind, now
        self._rows = CredentialMail.objects.filter(credential=credential.pk, kind=kind)

    def is_set_already(self) -> bool:
        return self._rows.filter(sent_at__isnull=False).exists()

    def write(self) -> bool:
        new = new_row(CredentialMail, credential_id=self._credential_id, kind=self._kind, created_at=self._now)
        insert([new], unique=("credential", "kind"))
        self.is_set = bool(self._rows.filter(sent_at=None).update(sent_at=self._now))
        return self.is_set

    def write_again(self) -> None:
        retry_transient(self.write)

    def undo(self) -> None:
        retry_transient(lambda: self._rows.filter(sent_at=self._now).update(sent_at=None))


def _credential(message: OutboxMessage, now: dt.datetime) -> UserCredential | None:
    """Return the credential of a message if its learner holds the badge by it now."""
    rows = UserCredential.objects.filter(held(now)).select_related("template", "learner__user")
    return rows.filter(pk=message.read()["credential"]).first()


def _can_be_earned_again(template: BadgeTemplate) -> bool:
    """Return whether what a learner does may give the badge again; one statement, or none."""
    if template.award_once or not template.is_active or template.archived_at is not None:
        return False
    demands = template.requirements.filter(archived_at=None).exists()  # a criteria document is a requirement, too
    return demands or template.slug in badge_condition_slugs()


def _address(credential: UserCredential | None) -> str:
    user: Any = credential.learner.user if credential is not None else None
    if user is None or not user.is_active:
        return ""
    return (getattr(user, user.get_email_field_name(), "") or "").strip()


def _subject(kind: str, credential: UserCredential) -> str:
    if kind == REMINDER:
        text = pgettext("badge mail", "Your badge %(badge)s ends soon")
    elif credential.replaces_id is not None:
        text = pgettext("badge mail", "Your badge %(badge)s was renewed")
    else:
        text = pgettext("badge mail", "You have earned the badge %(badge)s")
    return text % {"badge": credential.template.name}


def _last_day(valid_until: dt.datetime | None) -> str:
    """Return the last day on which a badge holds, in the active language and the host's time zone; empty for None."""
    if valid_until is None:
        return ""
    last = valid_until - dt.timedelta(microseconds=1)  # a badge that ends at midnight does not hold on the day after
    return date_format(timezone.localtime(last, timezone.get_default_timezone()), "DATE_FORMAT")


def _language(user: Any) -> str:
    """Return the code of an account's language; empty if it is not known."""
    value: Any = user if config.mail["language_attribute"] else ""
    for name in str(config.mail["language_attribute"] or "").split("."):
        value = getattr(value, name, "")
    return value if isinstance(value, str) else ""
