"""
Credentials: a learner sees their own, staff with the model permission see all. Staff award and revoke them.

A decision that is not possible in the present state is answered with 409. The problem document then has a ``code``
(``GrantingError.code``), and the id of the credential that is in the way.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges import api
from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeTemplate
from badges.common.openapi import Operation
from badges.common.permissions import may, permission
from badges.common.problem_details import Conflict
from badges.exceptions import GrantingError, UnknownPersonError
from badges.issuers import registry
from badges.rest_api.pagination import NewestFirstPagination
from badges.rest_api.v1.filters import CredentialFilters, StrictFilterBackend
from badges.rest_api.v1.serializers import (
    AwardSerializer,
    CredentialSerializer,
    LiftBlockSerializer,
    LiftedBlockSerializer,
    RevokeSerializer,
)
from badges.rest_api.views import PluginAPIView

T = TypeVar("T")

AWARD, REVOKE = (permission(verb, UserCredential) for verb in ("award", "revoke"))

_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)
_LOCATION = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[201])
_BUSY = {"503": "The database does not answer; nothing was changed."}


class CredentialListView(PluginAPIView, GenericAPIView[UserCredential]):
    """Credentials, newest first, and awarding one."""

    queryset = UserCredential.objects.none()  # the schema reads the model of the filters from it
    pagination_class = NewestFirstPagination
    newest_by = "awarded_at"
    filter_backends = [StrictFilterBackend]
    filterset_class = CredentialFilters
    needs = {"post": AWARD}
    operations = {
        "get": Operation(
            "credentials_list",
            "List credentials",
            CredentialSerializer(many=True),
            many=True,
            problems={"400": "A parameter is wrong; `errors` says which and what to write instead."},
        ),
        "post": Operation(
            "credentials_award",
            "Award a badge",
            CredentialSerializer,
            status=201,
            body=AwardSerializer,
            parameters=(_LOCATION,),
            problems={
                "409": (
                    "The badge cannot be awarded; `code` says why. `already_held`: the learner holds it, `credential` "
                    "is its id. So a request that is repeated after a lost answer awards nothing twice. `blocked`: "
                    "`credential` was revoked and its block is not lifted. `template_not_active`."
                ),
                **_BUSY,
            },
        ),
    }

    def get_queryset(self) -> QuerySet[UserCredential]:
        return _visible_credentials(self.request)

    def get(self, request: Request) -> Response:
        """Credentials, newest first: your own, or those of all learners with the permission to view credentials."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(_serialized(page or []))

    def post(self, request: Request) -> Response:
        """
        Award a badge to a person, whatever the requirements say, with the permission to award.

        A person without a learner gets one if the host has the account. The badge is announced, and issued at its
        providers, in the background.
        """
        body = self.body(AwardSerializer)
        person = api.person_named(body["user_id"])
        awarded = _decide(lambda: api.award(person, body["template"], by=request.user, reason=body["reason"]))
        address = reverse("lms_badges:credential-detail", args=[awarded.pk])
        return Response(_represented(awarded.pk), status=201, headers={"Location": address})


class CredentialDetailView(PluginAPIView):
    """One credential."""

    operation_id, summary = "credentials_retrieve", "Show a credential"
    serializer_class = CredentialSerializer
    parameters = [_ID]
    problems = {"404": "There is no such credential, or it belongs to another learner."}

    def get(self, request: Request, id: str) -> Response:
        """One credential: your own, or that of any learner with the permission to view credentials."""
        try:
            credential = _visible_credentials(request).get(pk=uuid.UUID(id))
        except (ValueError, UserCredential.DoesNotExist):
            raise NotFound from None
        return Response(_serialized([credential])[0])


class RevokeView(PluginAPIView):
    """Revoking a credential."""

    needs = {"post": REVOKE}
    operations = {
        "post": Operation(
            "credentials_revoke",
            "Revoke a badge",
            CredentialSerializer,
            body=RevokeSerializer,
            parameters=(_ID,),
            problems={
                "404": "There is no such credential.",
                "409": "The learner does not hold the badge by this credential any more: `code` is `not_held`.",
                **_BUSY,
            },
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """
        Revoke the badge that a learner holds by this credential, with the permission to revoke.

        A credential that the learner has got since is not touched. The revocation is announced, and providers are told,
        in the background.
        """
        body = self.body(RevokeSerializer)
        credential = _credential(id)
        _decide(
            lambda: api.revoke(
                credential.learner,
                credential.template.slug,
                by=request.user,
                reason=body["public_reason"],
                internal_reason=body["internal_reason"],
                block=body["block"],
                credential_id=credential.pk,
            )
        )
        return Response(_represented(credential.pk))


class LiftBlockView(PluginAPIView):
    """Lifting the block of a revoked credential."""

    needs = {"post": REVOKE}
    operations = {
        "post": Operation(
            "credentials_lift_block",
            "Lift the block of a revoked badge",
            LiftedBlockSerializer,
            body=LiftBlockSerializer,
            parameters=(_ID,),
            problems={
                "404": "There is no such credential.",
                "409": "This credential is not blocked: `code` is `not_blocked`.",
                **_BUSY,
            },
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """
        Let the learner get the badge again, with the permission to revoke.

        If all requirements of today are fulfilled, the badge is awarded again at once.
        """
        body = self.body(LiftBlockSerializer)
        credential = _credential(id)
        awarded = _decide(
            lambda: api.lift_block(
                credential.learner,
                credential.template.slug,
                by=request.user,
                reason=body["reason"],
                credential_id=credential.pk,
            )
        )
        answer = {
            "credential": _represented(credential.pk),
            "awarded": _represented(awarded.pk) if awarded is not None else None,
        }
        return Response(answer)


def _decide(decision: Callable[[], T]) -> T:
    """
    Return what a decision returns.

    Raises ValidationError for an unknown person or template, and Conflict when it is not possible now.
    """
    try:
        return decision()
    except UnknownPersonError as error:
        raise ValidationError({"user_id": [str(error)]}) from None
    except BadgeTemplate.DoesNotExist:
        raise ValidationError({"template": [_("There is no template with this slug.")]}) from None
    except GrantingError as error:
        members = {"code": error.code}
        if error.credential_id is not None:
            members["credential"] = str(error.credential_id)
        raise Conflict(str(error), members=members) from None


def _credential(id: str) -> UserCredential:
    try:
        return UserCredential.objects.select_related("learner", "template").get(pk=uuid.UUID(id))
    except (ValueError, UserCredential.DoesNotExist):
        raise NotFound from None


def _visible_credentials(request: Request) -> QuerySet[UserCredential]:
    rows = (
        UserCredential.objects.all() if may(request.user, "view", UserCredential) else api.credentials_of(request.user)
    )
    return _with_what_is_shown(rows)


def _with_what_is_shown(rows: QuerySet[UserCredential]) -> QuerySet[UserCredential]:
    return rows.select_related("learner__user", "template", "revision", "revocation_revision")


def _represented(pk: uuid.UUID) -> Any:
    """Return a credential as it is now."""
    return _serialized([_with_what_is_shown(UserCredential.objects.all()).get(pk=pk)])[0]


def _serialized(credentials: list[UserCredential]) -> Any:
    issued = registry.issued([credential.pk for credential in credentials])
    return CredentialSerializer(credentials, many=True, context={"issued": issued}).data
