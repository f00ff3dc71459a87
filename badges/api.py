"""The plugin's door for Python code of the host and of other plugins. Everything not listed here is private."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q, QuerySet

from badges.awarding.models import ACTIVE, UserCredential
from badges.progress.models import BadgeProgress
from badges.progress.reading import report, with_reports

__all__ = ["credentials_of", "holders_of", "progress_of", "report", "with_reports"]

# A person: the host's user, an LMS user id, or text as in addresses (digits are an LMS user id, else it is a username).
Person = AbstractBaseUser | int | str


def credentials_of(person: Person, *, template: str | None = None) -> QuerySet[UserCredential]:
    """Return the credentials of a person, newest first, revoked ones too; of one template (slug) if given."""
    rows = UserCredential.objects.filter(_about(person)).select_related("learner__user", "template")
    return rows if template is None else rows.filter(template__slug=template)


def holders_of(template: str) -> QuerySet[UserCredential]:
    """Return the active credentials of a template (slug), newest first: who holds it."""
    rows = UserCredential.objects.filter(template__slug=template, active_key=ACTIVE)
    return rows.select_related("learner__user", "template")


def progress_of(person: Person, *, template: str | None = None) -> QuerySet[BadgeProgress]:
    """
    Return how far a person is, latest begun first; of one template (slug) if given.

    Ask ``report(row)`` of each row: its groups of requirements, and what fulfils them.
    """
    rows = with_reports(BadgeProgress.objects.filter(_about(person)).select_related("learner__user", "template"))
    return rows if template is None else rows.filter(template__slug=template)


def _about(person: Person) -> Q:
    if isinstance(person, AbstractBaseUser):
        return Q(learner__user=person.pk)
    text: Any = str(person)
    if text.isascii() and text.isdigit():
        return Q(learner__lms_user_id=int(text))
    if "\0" in text:  # nobody's name, and PostgreSQL would refuse the question
        return Q(pk__in=[])
    return Q(**{f"learner__user__{get_user_model().USERNAME_FIELD}": text})
