"""A user, as the sticker flows see it."""

from __future__ import annotations

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from badges.awarding.models import UserCredential, held
from badges.common.openapi import Operation
from badges.common.query_parameters import refuse_unknown
from badges.flows.claims import claimed_count
from badges.intake.models import Learner
from badges.rest_api.flows_v1.people import USER_ID, readable_person
from badges.rest_api.flows_v1.serializers import UserSerializer
from badges.rest_api.views import PluginAPIView


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
