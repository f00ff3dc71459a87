"""Why a person did or did not get a badge: a learner may ask about themselves, staff with permissions about all."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from badges import api
from badges.common.openapi import Operation
from badges.common.query_parameters import refuse_unknown
from badges.exceptions import UnknownPersonError
from badges.explanations import is_shown_to_learners, may_explain_everybody
from badges.models import BadgeTemplate
from badges.rest_api.v1.criteria import ASCIIRenderer
from badges.rest_api.v1.explanation_serializers import ExplanationQuerySerializer, ExplanationSerializer
from badges.rest_api.views import PluginAPIView

_PEOPLE = ("username", "lms_user_id", "learner")


class ExplanationView(PluginAPIView):
    """Why somebody did or did not get a badge."""

    operations = {
        "get": Operation(
            "explain_retrieve",
            "Ask why somebody did or did not get a badge",
            ExplanationSerializer,
            parameters=(
                OpenApiParameter("template", required=True, description="The slug of the template."),
                OpenApiParameter("username", description="The exact username; without a person, it is you."),
                OpenApiParameter("lms_user_id", OpenApiTypes.INT64, description="Or the LMS user id."),
                OpenApiParameter("learner", OpenApiTypes.UUID, description="Or the UUID of the learner."),
            ),
            problems={
                "400": "A parameter is wrong; `errors` says which and what to write instead.",
                "404": "There is no such template, or nothing is known of the person.",
            },
        )
    }
    renderer_classes = [ASCIIRenderer]

    def get(self, request: Request) -> Response:
        """
        Why a person did or did not get a badge: sentences, and the facts that they are made of.

        You can ask about yourself. To ask about others you need the permissions to view progress, user credentials and
        logged events. The answer is the same for both: it names no other person, and has no reason that was written for
        staff. Of templates that learners are not shown, you get 404.
        """
        refuse_unknown(request, ["template", *_PEOPLE])
        query = ExplanationQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        given = query.validated_data
        if sum(name in given for name in _PEOPLE) > 1:
            raise ValidationError(_("Write only one of username, lms_user_id and learner."))
        may_ask = may_explain_everybody(request.user)
        if not may_ask and not _is_oneself(request.user, given):
            raise PermissionDenied
        try:
            answer = api.why(_person(request.user, given) if may_ask else request.user, given["template"])
        except (BadgeTemplate.DoesNotExist, UnknownPersonError):
            raise NotFound from None
        if not may_ask and not is_shown_to_learners(answer):
            raise NotFound
        return Response(ExplanationSerializer(answer).data)


def _person(user: Any, given: dict[str, Any]) -> api.Person:
    """Return the person who is asked about. Raises UnknownPersonError for a username that nobody has."""
    if "username" in given:
        User: Any = get_user_model()
        account = User._default_manager.filter(**{User.USERNAME_FIELD: given["username"]}).first()
        if account is None or account.get_username() != given["username"]:  # MariaDB equates letters of other case
            raise UnknownPersonError
        return account  # type: ignore[no-any-return]
    person: api.Person = given.get("learner") or given.get("lms_user_id") or user
    return person


def _is_oneself(user: Any, given: dict[str, Any]) -> bool:
    """Return whether a request names nobody, or the one who makes it."""
    if "username" in given:
        return bool(given["username"] == user.get_username())
    if "learner" not in given and "lms_user_id" not in given:
        return True
    learner = api.learner_of(user)
    if "learner" in given:
        return learner is not None and learner.uuid == given["learner"]
    return bool(given["lms_user_id"] == api.lms_user_id_of(user))
