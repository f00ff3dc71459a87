"""Runs, for staff who may view them."""

from __future__ import annotations

import datetime as dt
import uuid

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges.common.permissions import permission
from badges.rest_api.pagination import NewestFirstPagination
from badges.rest_api.v1.filters import StrictFilterBackend
from badges.rest_api.views import PluginAPIView
from badges.runs.models import Run, RunMode, RunState

VIEW = permission("view", Run)


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


class RunListView(PluginAPIView, GenericAPIView[Run]):
    """Runs, newest first."""

    operation_id, summary = "runs_list", "List runs"
    queryset = Run.objects.all()
    needs = {"get": VIEW, "head": VIEW}
    serializer_class = RunSerializer
    pagination_class = NewestFirstPagination
    newest_by = None  # their ids begin with the time
    filter_backends = [StrictFilterBackend]
    filterset_class = RunFilters
    problems = {"400": "A parameter is wrong; `errors` says which and what to write instead."}

    def get_queryset(self) -> QuerySet[Run]:
        return Run.objects.all()

    def get(self, request: Request) -> Response:
        """Runs, newest first, with the permission to view runs."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(RunSerializer(page or [], many=True).data)


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
