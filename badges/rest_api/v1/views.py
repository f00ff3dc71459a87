"""Progress: a learner sees their own, staff with the model permission see all. And the retirement of a person."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges.api import last_resets, missing_criteria, progress_of, report, retire, with_reports
from badges.common.permissions import may, permission
from badges.history.models import LoggedEvent
from badges.intake.models import Learner
from badges.progress.models import BadgeProgress
from badges.rest_api.pagination import NewestFirstPagination
from badges.rest_api.v1.filters import ProgressFilters, StrictFilterBackend
from badges.rest_api.v1.serializers import (
    ProgressSerializer,
    RetirementSerializer,
    RetiringPersonSerializer,
)
from badges.rest_api.views import PluginAPIView

_BAD_PARAMETER = {"400": "A parameter is wrong; `errors` says which and what to write instead."}


class ProgressListView(PluginAPIView, GenericAPIView[BadgeProgress]):
    """Progress, learner by learner."""

    operation_id, summary = "progress_list", "List progress"
    queryset = BadgeProgress.objects.none()
    serializer_class = ProgressSerializer
    pagination_class = NewestFirstPagination
    newest_by = None  # ids begin with the learner; an index by time would cost every event that is decided
    filter_backends = [StrictFilterBackend]
    filterset_class = ProgressFilters
    problems = _BAD_PARAMETER

    def get_queryset(self) -> QuerySet[BadgeProgress]:
        if may(self.request.user, "view", BadgeProgress):
            return with_reports(BadgeProgress.objects.select_related("learner__user", "template"))
        return progress_of(self.request.user)

    def get(self, request: Request) -> Response:
        """Progress on badges, learner by learner: your own, or with the permission to view progress that of all."""
        page: Any = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        missing = missing_criteria(page) if self._may_view_events() else {}
        resets = last_resets(page)
        for progress in page:
            progress.report = report(progress, missing=missing.get(progress.pk), resets=resets.get(progress.pk))
        return self.get_paginated_response(ProgressSerializer(page, many=True).data)

    def _may_view_events(self) -> bool:
        """Whether the texts may hold values of events: of one's own, or of all with the permission to view the log."""
        user = self.request.user
        return not may(user, "view", BadgeProgress) or may(user, "view", LoggedEvent)


class RetirementView(PluginAPIView):
    """The retirement of a person who left."""

    operation_id, summary = "retirements_create", "Retire a person"
    http_method_names = ["post"]
    needs = {"post": permission("retire", Learner)}
    body_serializer_class = RetiringPersonSerializer
    serializer_class = RetirementSerializer
    problems = {
        "400": "The body does not name one person; `errors` says what to write instead.",
        "503": "The database does not answer; nothing was changed.",
    }

    def post(self, request: Request) -> Response:
        """
        Remove a person who left from the tables and files of all apps.

        Safe to repeat. A person who is not known here is no error.
        """
        (person,) = self.body(RetiringPersonSerializer).values()
        return Response(RetirementSerializer(retire(person)).data)
