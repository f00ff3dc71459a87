"""
Stickers of a user: which ones are assigned, assigning one and removing one.

The decisions are those of ``badges.api``. A sticker that a person removed can be assigned again: that lifts the block.
"""

from __future__ import annotations

import functools
import uuid
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges import api
from badges.awarding.models import UserCredential, held
from badges.catalog.queries import templates_named
from badges.common.openapi import Operation
from badges.common.permissions import may, permission
from badges.common.problem_details import Conflict, Unprocessable
from badges.common.query_parameters import refuse_unknown
from badges.exceptions import AlreadyHeldError, NotHeldError, TemplateNotActiveError, UnknownPersonError
from badges.rest_api.flows_v1.idempotency import (
    IDEMPOTENCY_KEY,
    IDEMPOTENT_REPLAYED,
    KEY_IN_USE,
    KEY_REUSED,
    answered,
)
from badges.rest_api.flows_v1.people import USER_ID, named_person, readable_person
from badges.rest_api.flows_v1.serializers import (
    AssignedStickerSerializer,
    AssignStickerSerializer,
    HeldStickerSerializer,
    HeldStickerWithReasonSerializer,
    RemovedStickerSerializer,
    RemoveStickerSerializer,
)
from badges.rest_api.pagination import NewestFirstPagination
from badges.rest_api.views import PluginAPIView

ASSIGN, REMOVE = (permission(verb, UserCredential) for verb in ("award", "revoke"))

_BUSY = {"503": "The database does not answer; nothing was changed."}
_STICKER_ID = OpenApiParameter(
    "stickerId", str, OpenApiParameter.PATH, description="The slug or the UUID of a badge template."
)


class StickerPagination(NewestFirstPagination):
    """Pages of the stickers of one user."""

    size_param = "pageSize"
    params = (NewestFirstPagination.cursor_param, size_param)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)["properties"]
        user_id = {
            "type": ["string", "null"],
            "format": "uuid",
            "description": "The UUID of the learner. Null for an account that has no learner yet.",
        }
        properties = {"userId": user_id, "stickers": page.pop("results"), **page}
        return {"type": "object", "properties": properties, "required": list(properties)}


class StickersView(PluginAPIView, GenericAPIView[UserCredential]):
    """The stickers of a user."""

    queryset = UserCredential.objects.none()
    pagination_class = StickerPagination
    filter_backends: list[Any] = []
    newest_by = "awarded_at"
    needs = {"post": ASSIGN}
    operations = {
        "get": Operation(
            "stickers_list",
            "List the stickers of a user",
            HeldStickerWithReasonSerializer(many=True),
            many=True,
            parameters=(USER_ID,),
            problems={
                "400": "A parameter is wrong; `errors` says which and what to write instead.",
                "404": "There is no such user.",
            },
        ),
        "post": Operation(
            "stickers_assign",
            "Assign a sticker",
            AssignedStickerSerializer,
            status=201,
            body=AssignStickerSerializer,
            parameters=(USER_ID, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED),
            problems={
                "404": "There is no such user.",
                "409": (
                    "`code` says why. `already_held`: the sticker is assigned already, `credential` is its id. "
                    f"{KEY_IN_USE}"
                ),
                "422": (
                    "`code` says why. `unknown_template`: there is no such sticker. `template_not_active`: it is not "
                    f"assigned now. {KEY_REUSED}"
                ),
                **_BUSY,
            },
        ),
    }

    def get(self, request: Request, userId: str) -> Response:
        """
        The stickers that are assigned to a user now, newest first.

        Everybody can list their own. With the permission to view credentials you can list those of all users, with the
        reasons that staff gave.
        """
        refuse_unknown(request, StickerPagination.params)
        learner = readable_person(request, userId).learner
        rows = UserCredential.objects.filter(held(timezone.now()), learner=learner).select_related("template")
        page = self.paginate_queryset(rows) or []
        sees_reasons = may(request.user, "view", UserCredential)
        serializer = HeldStickerWithReasonSerializer if sees_reasons else HeldStickerSerializer
        paginator: Any = self.paginator
        return Response(
            {
                "userId": str(learner.uuid) if learner else None,
                "stickers": serializer(page, many=True).data,
                "next": paginator.next,
                "previous": paginator.previous,
            }
        )

    def post(self, request: Request, userId: str) -> HttpResponse:
        """
        Assign a sticker to a user, whatever the requirements say, with the permission to award badges.

        A sticker that a person has removed is assigned again; that lifts its block. An account without a learner gets
        one. The assignment is announced, and the badge is issued at its providers, in the background.
        """
        refuse_unknown(request, ())
        body = self.body(AssignStickerSerializer)
        return answered(request, body, functools.partial(_assign, request, userId, body), status=HTTPStatus.CREATED)


class StickerView(PluginAPIView):
    """One sticker of a user."""

    needs = {"delete": REMOVE}
    operations = {
        "delete": Operation(
            "stickers_remove",
            "Remove a sticker",
            RemovedStickerSerializer,
            body=RemoveStickerSerializer,
            parameters=(USER_ID, _STICKER_ID, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED),
            problems={
                "404": "There is no such user, or this sticker is not assigned to the user.",
                "409": f"`code` is {KEY_IN_USE}",
                "422": f"`code` is {KEY_REUSED}",
                **_BUSY,
            },
        )
    }

    def delete(self, request: Request, userId: str, stickerId: str) -> HttpResponse:
        """
        Remove a sticker from a user, with the permission to revoke badges.

        The assignment is kept as history. Rules do not give the sticker back; a person may assign it again. The removal
        is announced, and providers are told, in the background.
        """
        refuse_unknown(request, ())
        body = self.body(RemoveStickerSerializer)
        decide = functools.partial(_remove, request, userId, stickerId, body)
        return answered(request, body, decide, status=HTTPStatus.OK)


def _assign(request: Request, user_id: str, body: dict[str, Any]) -> Any:
    person = named_person(user_id)
    sticker = templates_named([body["stickerId"]]).get(body["stickerId"])
    if sticker is None:
        raise Unprocessable(_("There is no sticker with this id."), code="unknown_template")
    try:
        assigned = api.award(
            person.learner or person.account,  # type: ignore[arg-type]  # one of them is there
            sticker.slug,
            by=request.user,
            reason=body["reason"],
            lift_block=True,
        )
    except UnknownPersonError:  # retired, or gone since
        raise NotFound from None
    except TemplateNotActiveError as error:
        raise Unprocessable(str(error), code=error.code) from None
    except AlreadyHeldError as error:
        raise Conflict(str(error), members={"code": error.code, "credential": str(error.credential_id)}) from None
    return AssignedStickerSerializer(_with_names(assigned.pk)).data


def _remove(request: Request, user_id: str, sticker_id: str, body: dict[str, Any]) -> Any:
    person = named_person(user_id)
    sticker = templates_named([sticker_id]).get(sticker_id)
    if sticker is None or person.learner is None:
        raise NotFound
    try:
        removed = api.revoke(person.learner, sticker.slug, by=request.user, internal_reason=body["reason"])
    except (NotHeldError, UnknownPersonError):
        raise NotFound from None
    return RemovedStickerSerializer(_with_names(removed.pk)).data


def _with_names(pk: uuid.UUID) -> UserCredential:
    return UserCredential.objects.select_related("learner", "template").get(pk=pk)
