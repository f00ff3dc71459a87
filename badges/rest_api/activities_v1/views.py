"""
Activities of the learner who is signed in.

An answer says what the activity gave: XP, streaks, and the badges that it earned, which are awarded when the answer
leaves. The client names each activity by an id. So it may send the request again when it got no answer.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from badges import api
from badges.common.openapi import Operation
from badges.common.problem_details import Conflict
from badges.common.request_bodies import StrictSerializer
from badges.conf import config
from badges.exceptions import UnknownPersonError
from badges.rest_api.activities_v1.serializers import (
    ID_LENGTH,
    FlashcardsSerializer,
    QuizResultSerializer,
    RecordedActivitySerializer,
)
from badges.rest_api.views import PluginAPIView

KEY_HEADER = "Idempotency-Key"


def _operation(id: str, summary: str, body: type[StrictSerializer]) -> Operation:
    header = OpenApiParameter(
        KEY_HEADER, str, OpenApiParameter.HEADER, description="The id of the activity, for a body without `event_id`."
    )
    problems = {
        "409": "The person was retired.",
        "503": "The database does not answer; nothing was changed.",
    }
    return Operation(id, summary, RecordedActivitySerializer, body=body, problems=problems, parameters=(header,))


class ActivityView(PluginAPIView):
    """Records an activity. A subclass names its kind and the fields of its body."""

    kind: ClassVar[str]
    body_class: ClassVar[type[StrictSerializer]]

    def record(self, request: Request) -> Response:
        """Return the answer to the request."""
        body, now = self.body(self.body_class), timezone.now()
        data = api.ActivityData(
            kind=self.kind,
            source=f"activities/{self.kind}",  # not rest/…: the rest API of events puts a username there
            event_id=_event_id(request, body.get("event_id")),
            occurred_at=_time(body.get("time"), now),
            score=body.get("score"),
            cards=body.get("cards"),
        )
        try:
            recorded = api.record_activity(request.user, data, time_zone=body.get("time_zone", ""), now=now)
        except UnknownPersonError as error:
            raise Conflict(str(error), members={"code": error.code}) from None
        return Response(RecordedActivitySerializer(recorded).data)


class QuizResultView(ActivityView):
    """Results of quizzes."""

    kind, body_class = "quiz", QuizResultSerializer
    operations = {"post": _operation("quiz_result", "Record the result of a quiz", QuizResultSerializer)}

    def post(self, request: Request) -> Response:
        """
        Record the result of a quiz of yours, and learn what it gave.

        Sent again with the same id, it changes nothing: the answer has the figures and no new badges.
        """
        return self.record(request)


class FlashcardsView(ActivityView):
    """Sessions with flashcards."""

    kind, body_class = "flashcards", FlashcardsSerializer
    operations = {
        "post": _operation(
            "flashcards_session_complete", "Record a session with flashcards that is complete", FlashcardsSerializer
        )
    }

    def post(self, request: Request) -> Response:
        """
        Record a session with flashcards of yours, and learn what it gave.

        Sent again with the same id, it changes nothing: the answer has the figures and no new badges.
        """
        return self.record(request)


def _event_id(request: Request, given: str | None) -> str:
    """Return the id of the activity: of the body, else of the header. Raises ValidationError when there is none."""
    found = given or request.headers.get(KEY_HEADER, "").strip()
    if not found:
        raise ValidationError({"event_id": [_("Write an id of your own, or send the header Idempotency-Key.")]})
    if len(found) > ID_LENGTH or not found.isprintable():
        raise ValidationError({"event_id": [_("Write at most %(most)d printable characters.") % {"most": ID_LENGTH}]})
    return found


def _time(given: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """Return when the activity happened. Raises ValidationError for a time that is too far in the future."""
    ahead = config.engagement["minutes_ahead"]
    if given is not None and given > now + dt.timedelta(minutes=ahead):
        message = _("Write a time that is at most %(ahead)d minutes ahead of the clock here.") % {"ahead": ahead}
        raise ValidationError({"time": [message]})
    return given or now
