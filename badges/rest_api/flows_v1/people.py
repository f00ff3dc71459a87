"""Whom the path of a request names, and who may read about this person."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request

from badges import api
from badges.awarding.models import UserCredential
from badges.common.permissions import may
from badges.intake.models import Learner

USER_ID = OpenApiParameter(
    "userId",
    str,
    OpenApiParameter.PATH,
    description="A UUID is that of a learner, digits are an LMS user id, else it is a username.",
)


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """A person whom a path names. ``learner`` is None for an account of the host that has no learner yet."""

    learner: Learner | None
    account: AbstractBaseUser | None


def named_person(text: str) -> NamedPerson:
    """Return the person whom a path names. Raises NotFound when there is none."""
    found = _find(text)
    if found is None:
        raise NotFound
    return found


def readable_person(request: Request, text: str) -> NamedPerson:
    """
    Return the person whom a path names: oneself or, with the permission to view credentials, anybody.

    Raises PermissionDenied for other people, whether or not they exist, and NotFound when there is no such person.
    """
    found = _find(text)
    account = found.account if found else None
    if (account is None or account.pk != request.user.pk) and not may(request.user, "view", UserCredential):
        raise PermissionDenied
    if found is None:
        raise NotFound
    return found


def _find(text: str) -> NamedPerson | None:
    person = api.person_named(text)
    learner = api.learner_of(person)
    if learner is not None:
        return NamedPerson(learner, learner.user)
    account = api.account_of(person)
    # The learner of an account may not have the LMS user id yet that the host stores with the account.
    return NamedPerson(api.learner_of(account), account) if account is not None else None
