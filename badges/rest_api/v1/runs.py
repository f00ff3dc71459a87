"""Runs, for staff who may view or start them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges.common.openapi import Operation
from badges.common.permissions import permission
from badges.common.problem_details import Conflict
from badges.common.request_bodies import StrictSerializer, TextField
from badges.exceptions import Permanent
from badges.rest_api.pagination import NewestFirstPagination
from badges.rest_api.v1.filters import StrictFilterBackend
from badges.rest_api.views import PluginAPIView
from badges.runs import kinds, queue
from badges.runs.models import Run, RunMode, RunState

VIEW, ADD = permission("view", Run), permission("add", Run)
_LOCATION = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[201])


class RunFilters(django_filters.FilterSet):
    """Filters by kind and state."""

    kind = django_filters.CharFilter(field_name="kind", label="The name of the kind.")
    state = django_filters.ChoiceFilter(choices=RunState.choices, label="How far it is.")


class RunSerializer(serializers.Serializer[Run]):
    """A run: long work that a person asked for."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    subject = serializers.CharField(help_text="What it is about; one run of a kind and subject may be open.")
    mode = serializers.ChoiceField(choices=RunMode.choices)
    state = serializers.ChoiceField(choices=RunState.choices)
    parameters = serializers.DictField(source="read_parameters")
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True, help_text="Null while it is not known.")
    counts = serializers.DictField(source="read_counts", child=serializers.IntegerField())
    note = serializers.CharField(help_text="What to do, when it failed.")
    undoes = serializers.UUIDField(source="undoes_id", allow_null=True)
    asked_at = serializers.DateTimeField(format="iso-8601", default_timezone=dt.UTC)
    started_at = serializers.DateTimeField(format="iso-8601", default_timezone=dt.UTC, allow_null=True)
    finished_at = serializers.DateTimeField(format="iso-8601", default_timezone=dt.UTC, allow_null=True)


class StartRunSerializer(StrictSerializer):
    """A run that is asked for."""

    kind = TextField(max_length=50, help_text="Such as `backfill`.")
    mode = serializers.ChoiceField(
        choices=[RunMode.PLAN.value, RunMode.APPLY.value], help_text="`plan` changes nothing, and says what would be."
    )
    parameters = serializers.DictField(
        default=dict, help_text='What the kind needs. Of `backfill`: `{"templates": ["algebra-star"]}`.'
    )


class RunListView(PluginAPIView, GenericAPIView[Run]):
    """Runs, newest first, and starting one."""

    operations = {
        "get": Operation(
            "runs_list",
            "List runs",
            RunSerializer(many=True),
            many=True,
            problems={"400": "A parameter is wrong; `errors` says which and what to write instead."},
        ),
        "post": Operation(
            "runs_start",
            "Start a run",
            RunSerializer,
            status=201,
            body=StartRunSerializer,
            parameters=(_LOCATION,),
            problems={
                "409": "Another run of this kind is open for the same subject. Wait for it, or cancel it.",
                "503": "The database does not answer; nothing was changed.",
            },
        ),
    }
    queryset = Run.objects.all()
    needs = {"get": VIEW, "head": VIEW}
    serializer_class = RunSerializer
    pagination_class = NewestFirstPagination
    newest_by = None  # their ids begin with the time
    filter_backends = [StrictFilterBackend]
    filterset_class = RunFilters

    def get_queryset(self) -> QuerySet[Run]:
        return Run.objects.all()

    def get(self, request: Request) -> Response:
        """Runs, newest first, with the permission to view runs."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(RunSerializer(page or [], many=True).data)

    def post(self, request: Request) -> Response:
        """
        Start a run, with the permission to start runs, or with that of its kind if it has one.

        A worker carries it out in the background; its address shows the progress.
        """
        body = self.body(StartRunSerializer)
        kind = _kind_for(request.user, body["kind"])
        mode = RunMode(body["mode"])
        if mode not in kind.modes:
            raise serializers.ValidationError({"mode": [_("Runs of this kind have no such mode.")]})
        try:
            run = queue.start(body["kind"], mode=mode, parameters=body["parameters"], person=request.user)
        except queue.RunRefused as error:
            raise Conflict(str(error)) from error
        except Permanent as error:
            raise serializers.ValidationError({"parameters": [str(error)]}) from error
        address = reverse("lms_badges:run-detail", args=[run.pk])
        return Response(RunSerializer(run).data, status=201, headers={"Location": address})


def _kind_for(user: Any, name: str) -> kinds.RunKind:
    """Return a kind that somebody may start. Raises PermissionDenied, also for kinds that only code starts."""
    try:
        kind = kinds.get(name)
    except Permanent as error:
        if not user.has_perm(ADD):
            raise PermissionDenied from None
        raise serializers.ValidationError({"kind": [str(error)]}) from error
    if not (kind.is_started_by_staff or kind.start_permission) or not user.has_perm(kind.start_permission or ADD):
        raise PermissionDenied
    return kind


class RunDetailView(PluginAPIView):
    """One run."""

    operation_id, summary = "runs_retrieve", "Show a run"
    needs = {"get": VIEW, "head": VIEW}
    serializer_class = RunSerializer
    parameters = [OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)]
    problems = {"404": "There is no such run."}

    def get(self, request: Request, id: str) -> Response:
        """One run with its progress, with the permission to view runs."""
        try:
            return Response(RunSerializer(Run.objects.get(pk=uuid.UUID(id))).data)
        except (ValueError, Run.DoesNotExist):
            raise NotFound from None
