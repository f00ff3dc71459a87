"""
Event types of this site as documents, for those who administer them.

A document is an entry of ``event_types`` in a pack, and is saved as there. A change that leaves active templates out is
refused until the request says that it is accepted.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges.catalog import event_types, own_event_types
from badges.catalog.documents import Document, DocumentError, Problem
from badges.catalog.models import EventType
from badges.common.openapi import Operation
from badges.common.permissions import permission
from badges.common.problem_details import Conflict
from badges.common.query_parameters import refuse_unknown
from badges.rest_api.openapi import EVENT_TYPE_DOCUMENT, EVENT_TYPE_DOCUMENT_SCHEMA
from badges.rest_api.pagination import ByNamePagination, is_storable
from badges.rest_api.v1.documents import BAD_DOCUMENT, BUSY, IF_MATCH, DocumentView

MAY_VIEW = (permission("view", EventType), permission("change", EventType))

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH)
_ETAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, description="For `If-Match`.", response=[200, 201])
_ACCEPT = OpenApiParameter(
    "accept_broken",
    OpenApiTypes.BOOL,
    description="`true`: save it although active templates can no longer be earned then.",
)
_NOT_FOUND = {"404": "There is no such event type."}


class KeyPathSerializer(serializers.Serializer[Any]):
    """A key path that rules may use."""

    path = serializers.CharField()
    kind = serializers.CharField()
    note = serializers.CharField(help_text="What the schema says about values; may be empty.")


class EventTypeSerializer(serializers.Serializer[EventType]):
    """An event type of this site."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField(format="iso-8601")
    modified_at = serializers.DateTimeField(format="iso-8601")
    document = serializers.SerializerMethodField()
    key_paths = serializers.SerializerMethodField(help_text="Empty while the event type is not active.")

    @extend_schema_field(EVENT_TYPE_DOCUMENT_SCHEMA)
    def get_document(self, row: EventType) -> Document:
        return own_event_types.document_of(row)

    @extend_schema_field(KeyPathSerializer(many=True))
    def get_key_paths(self, row: EventType) -> list[dict[str, str]]:
        definition = event_types.configured().get(row.name)
        paths = definition.key_paths() if definition is not None and definition.is_own else []
        return [{"path": path, "kind": kind, "note": definition.note(path) or ""} for path, kind in paths]  # type: ignore[union-attr]


class EventTypeView(DocumentView):
    """The base of the views of event types."""

    flag = "accept_broken"

    def row(self, name: str) -> EventType:
        """Return the event type of the address. Raises NotFound."""
        found = EventType.objects.filter(name=name).first() if is_storable(name) else None
        if found is None:
            raise NotFound(_("This site has no event type of this name."))
        return found

    def save(self, document: Any) -> EventType:
        """Save a document, as the parameter ``accept_broken`` says."""
        saved = own_event_types.save_document(
            document, author=self.request.user, now=timezone.now(), accept_broken=self.is_flagged
        )
        return saved.row


class EventTypeListView(EventTypeView, GenericAPIView[EventType]):
    """All event types, and a new one."""

    operations = {
        "get": Operation(
            "event_types_list",
            "List event types",
            EventTypeSerializer,
            many=True,
            problems={"400": "A parameter is wrong; `errors` says which and what to write instead."},
        ),
        "post": Operation(
            "event_types_create",
            "Create an event type",
            EventTypeSerializer,
            status=201,
            body=EVENT_TYPE_DOCUMENT,
            parameters=(_ETAG,),
            problems={**BAD_DOCUMENT, **BUSY, "409": "There is an event type of this name already."},
        ),
    }
    needs = {"get": MAY_VIEW, "head": MAY_VIEW, "post": permission("add", EventType)}
    queryset = EventType.objects.all()
    pagination_class = ByNamePagination
    filter_backends: list[Any] = []

    def get(self, request: Request) -> Response:
        """Event types of this site, in the order of their names."""
        refuse_unknown(request, ByNamePagination.params)
        event_types.refreshed()
        page = self.paginate_queryset(EventType.objects.all())
        return self.get_paginated_response(EventTypeSerializer(page or [], many=True).data)

    def post(self, request: Request) -> Response:
        """Create an event type from a document: an entry of `event_types` in a pack."""
        refuse_unknown(request, [])
        document = request.data

        def create() -> EventType:
            draft, problems = own_event_types.read_event_type(document)
            if draft is None:
                raise DocumentError(problems)
            if EventType.objects.filter(name=draft.document["name"]).exists():
                raise Conflict(
                    _("There is an event type of this name already. PUT changes it; or choose another name.")
                )
            return self.save(document)

        row = self.write(create)
        address = request.build_absolute_uri(reverse("lms_badges:event-type-detail", args=[row.name]))
        return _shown(row, status=status.HTTP_201_CREATED, headers={"Location": address})


class EventTypeDetailView(EventTypeView):
    """One event type."""

    operations = {
        "get": Operation(
            "event_types_retrieve",
            "Show an event type",
            EventTypeSerializer,
            parameters=(_NAME, _ETAG),
            problems=_NOT_FOUND,
        ),
        "put": Operation(
            "event_types_update",
            "Replace an event type",
            EventTypeSerializer,
            body=EVENT_TYPE_DOCUMENT,
            parameters=(_NAME, _ACCEPT, IF_MATCH, _ETAG),
            problems={
                **_NOT_FOUND,
                **BAD_DOCUMENT,
                **BUSY,
                "409": "Active templates could no longer be earned; the detail names them. Nothing was written.",
                "412": "The event type has changed since that version. Nothing was written.",
                "428": "The header `If-Match` is missing.",
            },
        ),
        "delete": Operation(
            "event_types_destroy",
            "Delete an event type",
            None,
            status=204,
            parameters=(_NAME,),
            problems={**_NOT_FOUND, **BUSY, "409": "Active templates use it; the detail names them."},
        ),
    }
    needs = {
        "get": MAY_VIEW,
        "head": MAY_VIEW,
        "put": permission("change", EventType),
        "delete": permission("delete", EventType),
    }

    def get(self, request: Request, name: str) -> Response:
        """One event type with its document and its key paths."""
        row = self.row(name)
        event_types.refreshed()
        return _shown(row)

    def put(self, request: Request, name: str) -> Response:
        """
        Replace an event type by a document. Keys that are left out get the defaults of the pack's schema.

        A change after which active templates can no longer be earned is refused, unless `accept_broken=true`.
        """
        self.check_parameters()
        document = request.data

        def replace() -> EventType:
            changed = _("The event type has changed since. Read it again, and repeat your change on what it is now.")
            self.check_version(_etag(self.row(name)), changed)
            if isinstance(document, dict) and document.get("name", name) != name:
                message = _("This address belongs to %(name)s, and a name never changes. Write that.") % {"name": name}
                raise DocumentError([Problem("name", message)])
            return self.save(document)

        return _shown(self.write(replace))

    def delete(self, request: Request, name: str) -> Response:
        """Delete an event type that no active template uses. Its events are refused from then on."""
        refuse_unknown(request, [])
        self.write(lambda: own_event_types.delete(self.row(name)))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _etag(row: EventType) -> str:
    text = json.dumps(own_event_types.document_of(row), ensure_ascii=False)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _shown(row: EventType, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(EventTypeSerializer(row).data, status=status, headers={"ETag": _etag(row), **(headers or {})})
