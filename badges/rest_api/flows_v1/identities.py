"""Ids of a user at other systems: list them, add one and remove one, with the permissions for it."""

from __future__ import annotations

import functools
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges import api
from badges.catalog.learner_paths import ExternalIdentity
from badges.common.openapi import Operation
from badges.common.permissions import permission
from badges.common.problem_details import Conflict
from badges.common.query_parameters import refuse_unknown
from badges.exceptions import IdentityTakenError, UnknownPersonError, UnusableIdentityError
from badges.intake.models import LearnerIdentity
from badges.rest_api.flows_v1.idempotency import (
    IDEMPOTENCY_KEY,
    IDEMPOTENT_REPLAYED,
    KEY_IN_USE,
    KEY_REUSED,
    answered,
)
from badges.rest_api.flows_v1.people import USER_ID, named_person
from badges.rest_api.flows_v1.serializers import IdentitySerializer, LinkIdentitySerializer
from badges.rest_api.pagination import NewestFirstPagination
from badges.rest_api.views import PluginAPIView

VIEW, ADD, DELETE = (permission(verb, LearnerIdentity) for verb in ("view", "add", "delete"))

_NOBODY = {"404": "There is no such user."}
_BUSY = {"503": "The database does not answer; nothing was changed."}
_IDENTITY_ID = OpenApiParameter("identityId", int, OpenApiParameter.PATH, description="As the list names it.")


class IdentityPagination(NewestFirstPagination):
    """Pages of the ids of one user."""

    size_param = "pageSize"
    params = (NewestFirstPagination.cursor_param, size_param)


class IdentitiesView(PluginAPIView, GenericAPIView[LearnerIdentity]):
    """The ids of a user at other systems."""

    queryset = LearnerIdentity.objects.none()
    pagination_class = IdentityPagination
    filter_backends: list[Any] = []
    newest_by = "created_at"
    needs = {"get": VIEW, "post": ADD}
    operations = {
        "get": Operation(
            "identities_list",
            "List the ids of a user at other systems",
            IdentitySerializer(many=True),
            many=True,
            parameters=(USER_ID,),
            problems={"400": "A parameter is wrong; `errors` says which and what to write instead.", **_NOBODY},
        ),
        "post": Operation(
            "identities_add",
            "Add an id at another system",
            IdentitySerializer,
            status=201,
            body=LinkIdentitySerializer,
            parameters=(USER_ID, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED),
            problems={
                "409": (
                    "`code` says why. `already_linked`: the user has this id. `identity_taken`: another user has it; "
                    f"remove it there first. {KEY_IN_USE}"
                ),
                "422": f"`code` is {KEY_REUSED}",
                "404": "There is no such user, or the id that a request with this key added was removed since.",
                **_BUSY,
            },
        ),
    }

    def get(self, request: Request, userId: str) -> Response:
        """The ids that a user has at other systems, newest first."""
        refuse_unknown(request, IdentityPagination.params)
        learner = named_person(userId).learner
        page = self.paginate_queryset(LearnerIdentity.objects.filter(learner=learner)) or []
        return self.get_paginated_response(IdentitySerializer(page, many=True).data)

    def post(self, request: Request, userId: str) -> HttpResponse:
        """
        Add an id of a user at another system. From then on events that hold only this id are about the user.

        An account without a learner gets one.
        """
        refuse_unknown(request, ())
        body = self.body(LinkIdentitySerializer)
        add = functools.partial(_add, userId, body)
        return answered(request, body, add, status=HTTPStatus.CREATED, complete=_described)


class IdentityView(PluginAPIView):
    """One id of a user at another system."""

    needs = {"delete": DELETE}
    operations = {
        "delete": Operation(
            "identities_remove",
            "Remove an id at another system",
            IdentitySerializer,
            parameters=(USER_ID, _IDENTITY_ID),
            problems={"400": "There are no query parameters.", "404": "The user is not known, or has no such id."},
        )
    }

    def delete(self, request: Request, userId: str, identityId: int) -> Response:
        """Remove an id of a user at another system. What its events have given stays."""
        refuse_unknown(request, ())
        learner = named_person(userId).learner
        row = LearnerIdentity.objects.filter(learner=learner, pk=identityId).first() if learner else None
        if row is None or not api.unlink_identity(ExternalIdentity(row.issuer, row.subject)):
            raise NotFound
        return Response(IdentitySerializer(row).data)


def _add(user_id: str, body: dict[str, Any]) -> Any:
    person = named_person(user_id)
    try:
        row, is_new = api.link_identity(
            person.learner or person.account,  # type: ignore[arg-type]  # one of them is there
            ExternalIdentity(body["issuer"], body["subject"]),
        )
    except UnknownPersonError:  # retired, or gone since
        raise NotFound from None
    except UnusableIdentityError as error:
        raise ValidationError({error.field: [error.problem]}) from None
    except IdentityTakenError as error:
        raise Conflict(str(error), members={"code": "identity_taken"}) from None
    if not is_new:
        raise Conflict(_("The user has this id at this issuer already."), members={"code": "already_linked"})
    return {"identityId": row.pk}  # nothing else is stored with a key: a retirement does not find the answer


def _described(added: dict[str, int]) -> Any:
    row = LearnerIdentity.objects.filter(pk=added["identityId"]).first()
    if row is None:  # removed since, or the user was retired
        raise NotFound
    return IdentitySerializer(row).data
