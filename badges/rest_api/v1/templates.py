"""
Templates as documents, for designers: a template is read and written whole, as the entry of a pack.

All writing goes through ``badges.catalog.api``, as in the admin and in packs. So each change has the same checks, and
writes a revision. A change names the version that it is based on (``If-Match``), so that nobody overwrites the change
of somebody else.
"""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges.catalog.api import (
    Document,
    DocumentError,
    Outcome,
    Problem,
    SaveResult,
    archive_template,
    export_template,
    plan_template,
    problems_of,
    save_template,
)
from badges.catalog.documents import differences
from badges.catalog.models import BadgeTemplate, TemplateRevision
from badges.common.openapi import Operation
from badges.common.permissions import permission
from badges.common.problem_details import Conflict
from badges.common.query_parameters import refuse_unknown
from badges.rest_api.openapi import TEMPLATE_DOCUMENT
from badges.rest_api.pagination import (
    LARGEST_NUMBER,
    BySlugPagination,
    NewestRevisionFirstPagination,
    is_storable,
)
from badges.rest_api.v1.documents import BAD_DOCUMENT, BUSY, IF_MATCH, DocumentView
from badges.rest_api.v1.filters import StrictFilterBackend, TemplateFilters
from badges.rest_api.v1.template_serializers import (
    BadgeTemplateSerializer,
    SavedTemplateSerializer,
    TemplateDetailSerializer,
    TemplateRevisionDetailSerializer,
    TemplateRevisionSerializer,
)

# Who may change templates may view them, as in the admin.
MAY_VIEW = (permission("view", BadgeTemplate), permission("change", BadgeTemplate))
MAY_VIEW_REVISIONS = permission("view", TemplateRevision)

_SLUG = OpenApiParameter("slug", str, OpenApiParameter.PATH)
_DRY_RUN = OpenApiParameter(
    "dry_run", OpenApiTypes.BOOL, description="`true`: answer what would change, and write nothing."
)
_OPTIONAL_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The `ETag` of the version that is archived."
)
_ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, description="The version, for `If-Match`.", response=[200, 201]
)
_LOCATION = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[201])
_BAD_PARAMETER = {"400": "A parameter is wrong; `errors` says which and what to write instead."}
_NO_TEMPLATE = {"404": "There is no such template."}
_CHANGED = {"412": "The template has changed since that version. Nothing was written."}


class TemplateView(DocumentView):
    """The base of views that read or write one template."""

    flag = "dry_run"

    def template(self, slug: str) -> BadgeTemplate:
        """Return the template of the address. Raises NotFound."""
        found = BadgeTemplate.objects.filter(slug=slug).select_related("current_revision") if is_storable(slug) else ()
        for template in found:
            return template
        raise NotFound(_("There is no template with this slug."))

    def save(self, document: Any) -> SaveResult:
        """Save a document, or plan to. Raises DocumentError."""
        if self.is_flagged:
            return plan_template(document)
        return save_template(document, author=self.request.user, now=timezone.now())


class TemplateListView(TemplateView, GenericAPIView[BadgeTemplate]):
    """All templates, and a new one."""

    operations = {
        "get": Operation(
            "templates_list", "List templates", BadgeTemplateSerializer, many=True, problems=_BAD_PARAMETER
        ),
        "post": Operation(
            "templates_create",
            "Create a template",
            SavedTemplateSerializer,
            status=201,
            other_answers={200: SavedTemplateSerializer},
            body=TEMPLATE_DOCUMENT,
            parameters=(_DRY_RUN, _ETAG, _LOCATION),
            problems={
                **BAD_DOCUMENT,
                **BUSY,
                "409": "There is a template with this slug already. Nothing was written.",
            },
        ),
    }
    needs = {"get": MAY_VIEW, "head": MAY_VIEW, "post": permission("add", BadgeTemplate)}
    queryset = BadgeTemplate.objects.all()
    pagination_class = BySlugPagination
    filter_backends = [StrictFilterBackend]
    filterset_class = TemplateFilters

    def get_queryset(self) -> QuerySet[BadgeTemplate]:
        return BadgeTemplate.objects.select_related("current_revision")

    def get(self, request: Request) -> Response:
        """Templates in the order of their slugs. Archived ones only if `archived` is `true` or `all`."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(BadgeTemplateSerializer(page or [], many=True).data)

    def post(self, request: Request) -> Response:
        """
        Create a template from a document: one entry of a pack.

        Keys that are left out have the defaults of the pack's schema. Creating a template awards nothing. With
        `dry_run=true` the status is 200.
        """
        self.check_parameters()
        document = request.data

        def create() -> SaveResult:
            planned = plan_template(document)  # its problems first: without a valid slug there is nothing to compare
            if planned.outcome is not Outcome.CREATED:
                raise _exists(planned)
            return planned if self.is_flagged else self.save(document)

        saved = self.write(create, alone=not self.is_flagged)  # a dry run need not wait for others
        if self.is_flagged:
            return _saved(saved, is_dry_run=True)
        address = reverse("lms_badges:template-detail", args=[saved.document["slug"]])
        return _saved(saved, status=status.HTTP_201_CREATED, headers={"Location": request.build_absolute_uri(address)})


class TemplateDetailView(TemplateView):
    """One template."""

    operations = {
        "get": Operation(
            "templates_retrieve",
            "Show a template",
            TemplateDetailSerializer,
            parameters=(_SLUG, _ETAG),
            problems=_NO_TEMPLATE,
        ),
        "put": Operation(
            "templates_update",
            "Replace a template",
            SavedTemplateSerializer,
            body=TEMPLATE_DOCUMENT,
            parameters=(_SLUG, _DRY_RUN, IF_MATCH, _ETAG),
            problems={
                **_NO_TEMPLATE,
                **BAD_DOCUMENT,
                **_CHANGED,
                **BUSY,
                "428": "The header `If-Match` is missing.",
            },
        ),
        "delete": Operation(
            "templates_archive",
            "Archive a template",
            None,
            status=204,
            parameters=(_SLUG, _OPTIONAL_IF_MATCH),
            problems={**_BAD_PARAMETER, **_NO_TEMPLATE, **_CHANGED, **BUSY},
        ),
    }
    needs = {
        "get": MAY_VIEW,
        "head": MAY_VIEW,
        "put": permission("change", BadgeTemplate),
        "delete": permission("delete", BadgeTemplate),
    }

    def get(self, request: Request, slug: str) -> Response:
        """One template as a document, with its revision and the reasons for which it could not be saved today."""
        template = self.template(slug)
        return Response(
            TemplateDetailSerializer(
                template, context={"document": export_template(template), "problems": problems_of(template)}
            ).data,
            headers={"ETag": _etag(template)},
        )

    def put(self, request: Request, slug: str) -> Response:
        """
        Replace a template by a document: one entry of a pack.

        Keys that are left out get the defaults of the pack's schema, not the present values. Saving awards and revokes
        nothing. A template in the archive comes back.
        """
        self.check_parameters()
        document = request.data

        def replace() -> SaveResult:
            template = self.template(slug)
            self._check_version(template, required=True)
            if isinstance(document, dict) and document.get("slug", slug) != slug:
                message = _("This address belongs to %(slug)s, and a slug never changes. Write that.") % {"slug": slug}
                raise DocumentError([Problem("slug", message)])
            return self.save(document)

        return _saved(self.write(replace, alone=not self.is_flagged), is_dry_run=self.is_flagged)

    def delete(self, request: Request, slug: str) -> Response:
        """
        Archive a template: no event is matched against it any more. Credentials and progress of learners stay.

        Safe to repeat. A `PUT` brings it back.
        """
        refuse_unknown(request, [])

        def archive() -> None:
            template = self.template(slug)
            self._check_version(template, required=False)
            if template.archived_at is None:
                archive_template(template, author=request.user, now=timezone.now())

        self.write(archive)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _check_version(self, template: BadgeTemplate, *, required: bool) -> None:
        changed = _("The template has changed since. Read it again, and repeat your change on what it is now.")
        self.check_version(_etag(template), changed, required=required)


class TemplateRevisionListView(TemplateView, GenericAPIView[TemplateRevision]):
    """The revisions of a template."""

    operations = {
        "get": Operation(
            "templates_revisions_list",
            "List the revisions of a template",
            TemplateRevisionSerializer,
            many=True,
            parameters=(_SLUG,),
            problems={**_BAD_PARAMETER, **_NO_TEMPLATE},
        )
    }
    needs = {"get": MAY_VIEW_REVISIONS, "head": MAY_VIEW_REVISIONS}
    queryset = TemplateRevision.objects.all()
    pagination_class = NewestRevisionFirstPagination
    filter_backends: list[Any] = []

    def get(self, request: Request, slug: str) -> Response:
        """The revisions of a template, newest first. Each change of a template writes one."""
        refuse_unknown(request, NewestRevisionFirstPagination.params)
        revisions = TemplateRevision.objects.filter(template=self.template(slug)).select_related("author")
        page = self.paginate_queryset(revisions)
        return self.get_paginated_response(TemplateRevisionSerializer(page or [], many=True).data)


class TemplateRevisionDetailView(TemplateView):
    """One revision of a template."""

    operations = {
        "get": Operation(
            "templates_revisions_retrieve",
            "Show a revision of a template",
            TemplateRevisionDetailSerializer,
            parameters=(_SLUG, OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH)),
            problems={"404": "There is no such template, or it has no such revision."},
        )
    }
    needs = {"get": MAY_VIEW_REVISIONS, "head": MAY_VIEW_REVISIONS}

    def get(self, request: Request, slug: str, number: int) -> Response:
        """One revision: the document of that time, and what was changed then."""
        template = self.template(slug)
        until = TemplateRevision.objects.filter(template=template, number__lte=min(number, LARGEST_NUMBER))
        newest = list(until.select_related("author").order_by("-number")[:2])
        if not newest or newest[0].number != number:
            raise NotFound(_("This template has no such revision."))
        document: Document = json.loads(newest[0].document)
        changes = differences(json.loads(newest[1].document), document) if newest[1:] else []
        return Response(
            TemplateRevisionDetailSerializer(newest[0], context={"document": document, "changes": changes}).data
        )


def _etag(template: BadgeTemplate) -> str:
    """
    Return the version of a template as an entity tag.

    It is the revision. Archiving an inactive template writes no revision, so the archive is a part of it, too.
    """
    revision = template.current_revision.uuid if template.current_revision else "none"
    return f'"{revision}{"-archived" if template.archived_at else ""}"'


def _saved(
    result: SaveResult, *, is_dry_run: bool = False, headers: dict[str, str] | None = None, status: int = 200
) -> Response:
    template = result.stored.template if result.stored else None
    body = SavedTemplateSerializer(result, context={"template": template, "is_dry_run": is_dry_run}).data
    version = {"ETag": _etag(template)} if template else {}
    return Response(body, status=status, headers={**(headers or {}), **version})


def _exists(planned: SaveResult) -> Conflict:
    slug = planned.document["slug"]
    if planned.stored and planned.stored.template.archived_at:
        return Conflict(
            _("There is a template %(slug)s in the archive. PUT brings it back; or choose another slug.")
            % {"slug": slug}
        )
    return Conflict(_("There is a template %(slug)s already. PUT changes it; or choose another slug.") % {"slug": slug})
