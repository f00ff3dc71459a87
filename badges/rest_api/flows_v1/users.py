"""A user, as the sticker flows see it, and the registration of one."""

from __future__ import annotations

import functools
from http import HTTPStatus
from typing import Any

from django.contrib.auth.hashers import make_password
from django.http import HttpResponse
from django.utils import timezone
from django.utils.crypto import pbkdf2
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from badges.awarding.models import UserCredential, held
from badges.common.client_limits import seconds_to_wait
from badges.common.openapi import Operation
from badges.common.problem_details import Conflict
from badges.common.query_parameters import refuse_unknown
from badges.conf import config
from badges.flows import account_creation
from badges.flows.account_creation import EmailTakenError
from badges.flows.claims import claimed_count
from badges.intake.models import Learner
from badges.rest_api.flows_v1.idempotency import (
    HEADER,
    IDEMPOTENCY_KEY,
    IDEMPOTENT_REPLAYED,
    KEY_IN_USE,
    KEY_REUSED,
    answered,
)
from badges.rest_api.flows_v1.people import USER_ID, readable_person
from badges.rest_api.flows_v1.serializers import RegisteredSerializer, RegisterSerializer, UserSerializer
from badges.rest_api.views import PluginAPIView

# Of the hash of a password that is stored for a day with an Idempotency-Key.
_ITERATIONS = 100_000


class RegistrationView(PluginAPIView):
    """Registers accounts. Nobody has to sign in; each client address has a limit of its own."""

    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []
    operations = {
        "post": Operation(
            "users_register",
            "Register an account",
            RegisteredSerializer,
            status=201,
            body=RegisterSerializer,
            parameters=(IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED),
            problems={
                "404": "Accounts are not registered here: the setting `flows.registration` is off.",
                "409": f"`code` is `email_taken`: an account has this address, in whatever case; or {KEY_IN_USE}",
                "422": f"`code` is {KEY_REUSED}",
                "503": "The database does not answer; nothing was changed.",
            },
        )
    }

    def get_authenticators(self) -> list[Any]:
        return []

    def check_throttles(self, request: Request) -> None:
        limit = config.rest_api["registrations_per_minute"]
        if wait := seconds_to_wait(request._request, scope="lms_badges:register", limit=limit):
            raise Throttled(wait=wait)

    def post(self, request: Request) -> HttpResponse:
        """
        Register an account, where the host registers its accounts itself.

        The account can be used at once. The event `users.userRegistered.v1` is published, if the host publishes it.
        """
        if not config.flows["registration"]:
            raise NotFound(_("Accounts are not registered here."))
        refuse_unknown(request, ())
        body = self.body(RegisterSerializer)
        told = body
        if HEADER in request.headers and "password" in body:
            told = {**body, "password": pbkdf2(body["password"], "registration", _ITERATIONS).hex()}
        decide = functools.partial(_register, body, make_password(body.get("password")))
        return answered(request, told, decide, status=HTTPStatus.CREATED)


def _register(body: dict[str, Any], password: str) -> Any:
    try:
        learner = account_creation.register(body["email"], password=password, name=body["name"], now=timezone.now())
    except EmailTakenError as error:
        raise Conflict(str(error), members={"code": "email_taken"}) from None
    return RegisteredSerializer(learner).data


class UserView(PluginAPIView):
    """One user."""

    operations = {
        "get": Operation(
            "users_retrieve",
            "Show a user",
            UserSerializer,
            parameters=(USER_ID,),
            problems={"400": "There are no query parameters.", "404": "There is no such user."},
        )
    }

    def get(self, request: Request, userId: str) -> Response:
        """How many stickers a user holds and claimed: yourself, or anybody with the permission to view credentials."""
        refuse_unknown(request, ())
        learner = readable_person(request, userId).learner
        return Response(
            UserSerializer({"accountId": learner.uuid if learner else None, "stickers": _counts(learner)}).data
        )


def _counts(learner: Learner | None) -> dict[str, int]:
    """Return how many stickers a learner has and has claimed, counted from the rows."""
    if learner is None:
        return {"held": 0, "claimed": 0}
    number = UserCredential.objects.filter(held(timezone.now()), learner=learner).count()
    return {"held": number, "claimed": claimed_count(learner)}
