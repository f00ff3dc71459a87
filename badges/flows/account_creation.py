"""
Registering an account here, for a host whose users are registered nowhere else.

The account, its learner, the row that makes the e-mail address unique and the event ``users.userRegistered.v1`` are
written in one transaction. The address is not verified. The username of an account is the UUID of its learner, the
account id: a name that somebody chooses could be that of a person at the LMS, whose events would then be about the
account. Where the host's users are named by their e-mail address, the username is that.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import BaseUserManager
from django.db import IntegrityError, transaction
from django.db.models import Q
from uuid6 import uuid7

from badges.announcements import cloud_events
from badges.catalog.event_types import LearnerData
from badges.database import in_transaction
from badges.exceptions import Permanent
from badges.flows.models import Registration
from badges.intake.keyed_hashes import keyed_hash, keyed_hashes
from badges.intake.learners import new_account
from badges.intake.models import Learner
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage

GIVE_UP_SECONDS = 20


class EmailTakenError(Permanent):
    """There is an account with this e-mail address, in whatever case."""

    def __init__(self) -> None:
        super().__init__("There is an account with this e-mail address. Sign in, or use another address.")


def normal_form(email: str) -> str:
    """Return the form in which two e-mail addresses are compared: case and compatible characters do not count."""
    return unicodedata.normalize("NFKC", email).casefold()


def register(email: str, *, password: str, name: str, now: dt.datetime) -> Learner:
    """
    Register an account, and return its learner.

    ``password`` is as it is stored (``django.contrib.auth.hashers.make_password``), because making it takes longer than
    a transaction should. Of several calls with one address, in whatever case, one registers.

    Runs in a transaction of its own; in the caller's, transient errors of the database are raised as they are. Raises
    EmailTakenError. Raises Retryable when the database did not answer for 20 seconds.
    """
    return in_transaction(lambda: _register(email, password, name, now), give_up_seconds=GIVE_UP_SECONDS)


def _register(email: str, password: str, name: str, now: dt.datetime) -> Learner:
    outdated = _outdated_registrations(email)
    try:
        with transaction.atomic():
            Registration.objects.filter(pk__in=outdated).delete()
            learner = _create(email, password, name)
            digest = keyed_hash(normal_form(email))
            Registration.objects.create(email_digest=digest, learner=learner, registered_at=now)
    except IntegrityError:
        _outdated_registrations(email)  # raises EmailTakenError if another call was first
        raise
    if cloud_events.is_published(cloud_events.REGISTERED):
        payload = {"account": str(learner.uuid)}
        mailbox.post([NewMessage(cloud_events.CHANNEL, str(learner.pk), cloud_events.REGISTERED, payload)], now=now)
    return learner


def _create(email: str, password: str, name: str) -> Learner:
    account_id = uuid7()
    User: Any = get_user_model()
    email = BaseUserManager.normalize_email(email)
    username = email if User.get_email_field_name() == User.USERNAME_FIELD else str(account_id)
    user = new_account(LearnerData(None, True, username, email, name))
    user.password = password
    user.save(force_insert=True)
    return Learner.objects.create(uuid=account_id, user=user)


def _outdated_registrations(email: str) -> list[int]:
    """
    Return the registrations of an e-mail address whose accounts are gone or have another address now.

    Raises EmailTakenError when an account has the address; at most two statements.
    """
    address = normal_form(email)
    User: Any = get_user_model()
    field = User.get_email_field_name()
    similar = User._default_manager.filter(Q(**{f"{field}__iexact": email}) | Q(**{f"{field}__iexact": address}))
    # A database may equate more than the case, such as accents.
    if any(normal_form(each) == address for each in similar.order_by().values_list(field, flat=True)):
        raise EmailTakenError
    found = Registration.objects.filter(email_digest__in=keyed_hashes([address])).select_related("learner__user")
    registrations = list(found)
    if any(normal_form(getattr(each.learner.user, field, None) or "") == address for each in registrations):
        raise EmailTakenError
    return [each.pk for each in registrations]
