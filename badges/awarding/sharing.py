"""
Who may read about a credential: the one place that knows.

Pages, documents and links for everybody ask this module before they tell anything. A retired learner has no public
credentials, whatever was chosen before.
"""

from __future__ import annotations

import enum
import uuid

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from badges.awarding.models import UserCredential
from badges.conf import config


class Sharing(enum.StrEnum):
    """Who decides whether a credential is public; the values of the setting ``pages.sharing``."""

    LEARNER = "learner"
    ALWAYS = "always"
    NEVER = "never"


def sharing() -> Sharing:
    """Return the setting ``pages.sharing``. A wrong value means "never"; a system check reports it."""
    try:
        return Sharing(config.pages["sharing"])
    except (ValueError, TypeError, KeyError):
        return Sharing.NEVER


def public_credentials() -> QuerySet[UserCredential]:
    """Return the credentials about which everybody may read: held, revoked and expired ones."""
    policy = sharing()
    if policy is Sharing.NEVER:
        return UserCredential.objects.none()
    rows = UserCredential.objects.exclude(learner__lms_user_id=None, learner__user=None)
    prefix = config.retirement["username_prefix"]
    if prefix:  # the host has retired the account, and the sweep has not come to it yet
        rows = rows.exclude(**{f"learner__user__{get_user_model().USERNAME_FIELD}__startswith": prefix})
    return rows if policy is Sharing.ALWAYS else rows.filter(is_public=True)


def is_public(credential: UserCredential) -> bool:
    """Return whether everybody may read about a credential of a learner who was not retired; no statement."""
    policy = sharing()
    return policy is Sharing.ALWAYS or (policy is Sharing.LEARNER and credential.is_public)


def set_public(credential_id: uuid.UUID, public: bool, *, owner: Q) -> bool:
    """
    Let everybody read about a credential, or nobody, as its learner has chosen; one statement.

    ``owner`` is the condition of the learner's credentials. Returns False, and changes nothing, when no credential of
    the learner has this id, or when learners do not decide.
    """
    if sharing() is not Sharing.LEARNER:
        return False
    return bool(UserCredential.objects.filter(owner, pk=credential_id).update(is_public=public))
