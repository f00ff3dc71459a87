"""
Signing in at the reference host through an OpenID Connect provider, with django-allauth.

Loaded only when ``OIDC_ISSUER`` is set. The provider's name for a person becomes an id of the learner, so that events
which hold nothing else find the learner. Accounts are never matched by their e-mail addresses: those are not verified
here.
"""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import user_logged_in
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from badges import api
from badges.exceptions import BadgesError

log = logging.getLogger(__name__)


def identity_of(sociallogin: Any) -> api.ExternalIdentity:
    """Return who signs in, as the provider knows them."""
    return api.ExternalIdentity(settings.OIDC_ISSUER, sociallogin.account.uid)


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up on a page of allauth: accounts are registered by REST, or by signing in at the provider."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Makes accounts of who signs in for the first time, or uses that of the learner who has this id already."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            raise _refusal("This address is for signing in only.")
        learner = api.learner_of(identity_of(sociallogin))
        if learner is None or learner.user is None:
            return
        if sociallogin.is_existing:
            if learner.user_id != sociallogin.user.pk:  # staff gave the id to somebody else since
                raise _refusal("Your id at the provider belongs to another account. Ask the staff.")
        elif _has_rights(learner.user):
            # Whoever may enter ids must not become somebody with more rights in this way.
            raise _refusal("Your id at the provider does not open this account. Ask the staff.")
        else:
            # Not `connect`: it stores the account for good, also when staff remove the id or give it to somebody else.
            sociallogin.user = learner.user

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> Any:
        # Not the name that the provider gives: it could be the username of another person at the LMS, whose events
        # would then be about this account.
        return super().populate_user(request, sociallogin, {**data, "username": str(uuid.uuid4())})


def no_sign_up(request: HttpRequest) -> HttpResponse:
    """Answer who would have to choose another e-mail address: the one that the provider tells is another account's."""
    text = "Another account has your e-mail address. Sign in with its password, or ask the staff to add your id to it."
    return HttpResponse(text, status=HTTPStatus.CONFLICT, content_type="text/plain")


def _refusal(text: str) -> ImmediateHttpResponse:
    return ImmediateHttpResponse(HttpResponse(text, status=HTTPStatus.FORBIDDEN, content_type="text/plain"))


def _has_rights(user: Any) -> bool:
    return user.is_staff or bool(user.get_all_permissions())


# Connected before the first sign-in: allauth loads this module for the adapters.
@receiver(user_logged_in)
def link_learner(request: HttpRequest, user: Any, **signal: Any) -> None:
    """Give the learner of the account the id that the provider has told."""
    sociallogin = signal.get("sociallogin")
    if sociallogin is None:
        return
    try:
        api.link_sign_in(user, identity_of(sociallogin))
    except BadgesError as error:
        log.warning("Somebody signed in, and their id at the provider was not noted. %s", error)
