"""Whose credentials a request is about: the user's own, or with a permission somebody else's."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request

from badges import api as badges
from credentials_config import lms
from credentials_config.contracts import Person

PARAMETERS = ("username", "lms_user_id")
LARGEST_ID = 2**63 - 1


def requested_person(request: Request, *permissions: str) -> badges.Person | None:
    """
    Return the person a list is about; None when there is no such person.

    Raises PermissionDenied before it looks whether the other person exists, and ValidationError for wrong parameters.
    """
    username, number = _parameters(request)
    if username is None and number is None:
        own: Any = request.user
        return own
    if not _is_own(request, username, number) and not request.user.has_perms(permissions):
        raise PermissionDenied
    if number is not None:
        return number
    return get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: username}).first()


def person_at_lms(request: Request, permission: str) -> Person | None:
    """Return the person, as the LMS has them, whose eligibility is requested; None when the LMS does not know them."""
    username, number = _parameters(request)
    if username is None and number is None:
        learner = badges.learner_of(request.user)
        number = None if learner is None else learner.lms_user_id
        username = request.user.get_username() if number is None else None
    elif not _is_own(request, username, number) and not request.user.has_perm(permission):
        raise PermissionDenied
    client = lms.client()
    found = client.find(lms_user_ids=[number]) if number is not None else client.find(usernames=[username])
    return next(iter(found), None)


def _parameters(request: Request) -> tuple[str | None, int | None]:
    """Return the parameters username and LMS user id; at most one of them is not None."""
    username, text = request.query_params.get("username"), request.query_params.get("lms_user_id")
    if username is not None and text is not None:
        raise ValidationError({"lms_user_id": [_("Write either username or lms_user_id.")]})
    if username is not None and (not username or "\0" in username):
        raise ValidationError({"username": [_("Write a username.")]})
    if text is None:
        return username, None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID):
        raise ValidationError({"lms_user_id": [_("Write a whole number.")]})
    return None, int(text)


def _is_own(request: Request, username: str | None, number: int | None) -> bool:
    if username is not None:
        return username == request.user.get_username()
    learner = badges.learner_of(request.user)
    return learner is not None and learner.lms_user_id == number
