"""The views of version 1: what learners hold, verification by code, and what staff do with credentials."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from badges.common.merged_pagination import MergedPagination
from badges.common.openapi import Operation
from badges.common.permissions import permission
from badges.common.problem_details import Unavailable
from badges.common.query_parameters import refuse_unknown
from badges.exceptions import BadgesError, Permanent
from credentials_config import api
from credentials_config.contracts import Person
from credentials_config.models import Credential, CredentialConfiguration
from credentials_config.rest_api.api_view import PerUserOfTheLms, PerUserThrottle, PluginAPIView, PublicAPIView
from credentials_config.rest_api.v1 import serializers
from credentials_config.rest_api.v1.holdings import KINDS, PERMISSIONS, represent, represent_certificate, sources
from credentials_config.rest_api.v1.people import PARAMETERS, person_at_lms, requested_person
from credentials_config.verification.lookup import find

log = logging.getLogger(__name__)

ISSUE, REISSUE, INVALIDATE = (permission(verb, Credential) for verb in ("issue", "reissue", "invalidate"))
VIEW = PERMISSIONS["certificate"]

_WRONG_PARAMETER = {"400": "A parameter is wrong; `errors` says which and what to write instead."}
_NO_LMS = {"503": "The LMS does not answer; `Retry-After` says when to ask again."}
_CONFLICT = {"409": "It cannot be done in the present state; `detail` says what to do."}
_CODE = OpenApiParameter("code", str, OpenApiParameter.PATH)
_CONTEXT = OpenApiParameter("context_key", str, OpenApiParameter.PATH, description="A course, usage or pathway key.")
_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)
_WHO = (
    OpenApiParameter("username", str, description="Somebody else's, with permission."),
    OpenApiParameter("lms_user_id", OpenApiTypes.INT64, description="Somebody else's, with permission."),
)


class CredentialsView(PluginAPIView, GenericAPIView[Credential]):
    """What a learner holds, and issuing a certificate by hand."""

    queryset = Credential.objects.none()
    pagination_class = MergedPagination
    filter_backends: list[Any] = []
    needs = {"post": ISSUE}
    operations = {
        "get": Operation(
            "holdings_list",
            "List what a learner holds",
            serializers.HoldingSerializer(many=True),
            many=True,
            problems=_WRONG_PARAMETER,
            parameters=(
                *_WHO,
                OpenApiParameter("kind", str, enum=KINDS, description="Certificates only, or badges only."),
                OpenApiParameter("ended", bool, description="Also what was revoked, invalidated or has expired."),
            ),
        ),
        "post": Operation(
            "certificates_issue",
            "Issue a certificate",
            serializers.HoldingSerializer,
            status=201,
            body=serializers.IssueSerializer,
            problems={**_CONFLICT, **_NO_LMS},
        ),
    }

    def get_throttles(self) -> list[Any]:
        return [PerUserThrottle(), *([PerUserOfTheLms()] if self.request.method == "POST" else [])]

    def get(self, request: Request) -> Response:
        """Certificates and badges together, newest first: one's own, or with the permissions to view both anybody's."""
        refuse_unknown(request, [*PARAMETERS, "kind", "ended", *MergedPagination.params])
        kinds = _choice(request, "kind", {"": KINDS, **{kind: (kind,) for kind in KINDS}})
        ended = _choice(request, "ended", {"": False, "false": False, "true": True})
        person = requested_person(request, *(PERMISSIONS[kind] for kind in kinds))
        page: Any = self.paginate_queryset(sources(person, kinds=kinds, ended=ended))  # type: ignore[arg-type]
        return self.get_paginated_response(_holdings([represent(entry) for entry in page or []]))

    def post(self, request: Request) -> Response:
        """Issue a certificate by hand, whatever the dates of the context. The document is made in the background."""
        body = self.body(serializers.IssueSerializer)
        configuration = CredentialConfiguration.objects.select_related("credential_type").filter(
            pk=body["configuration"]
        )
        if not (found := configuration.first()):
            raise ValidationError({"configuration": [_("There is no such configuration.")]})
        (issued,) = api.issue(
            found,
            lms_user_ids=[body["lms_user_id"]] if "lms_user_id" in body else (),
            usernames=[body["username"]] if "username" in body else (),
            override_eligibility=body["override_eligibility"],
        )
        return Response(_holdings([represent_certificate(issued)])[0], status=201)


class ReissueView(PluginAPIView):
    """Reissuing a certificate."""

    throttle_classes = [PerUserThrottle, PerUserOfTheLms]
    needs = {"post": REISSUE}
    operations = {
        "post": Operation(
            "certificates_reissue",
            "Reissue a certificate",
            serializers.HoldingSerializer,
            status=202,
            body=serializers.ReissueSerializer,
            parameters=(_ID,),
            problems={"404": "There is no such certificate.", **_CONFLICT, **_NO_LMS},
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """Have a new document made in the background. Code and date stay; the old document is valid until then."""
        body = self.body(serializers.ReissueSerializer)
        api.reissue([_certificate(id)], ask_names=body["ask_names"], mail=body["mail"])
        return Response(_holdings([represent_certificate(_certificate(id))])[0], status=202)


class InvalidateView(PluginAPIView):
    """Invalidating a certificate."""

    needs = {"post": INVALIDATE}
    operations = {
        "post": Operation(
            "certificates_invalidate",
            "Invalidate a certificate",
            serializers.HoldingSerializer,
            body=serializers.InvalidateSerializer,
            parameters=(_ID,),
            problems={"404": "There is no such certificate.", **_CONFLICT},
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """Take a certificate back: its document is removed, and the verification page shows the public reason."""
        body = self.body(serializers.InvalidateSerializer)
        given = {"public_reason": body["public_reason"], "note": body["internal_note"], "by": request.user}
        done = api.invalidate([_certificate(id)], **given)
        if not done:
            raise api.Refused(_("It was invalidated before; the reason that was given then stays."))
        return Response(_holdings([represent_certificate(_certificate(id))])[0])


class ConfiguredView(PluginAPIView):
    """The credentials that are given in a context."""

    operations = {
        "get": Operation(
            "contexts_configured",
            "Show what is given in a context",
            serializers.ConfiguredContextSerializer,
            parameters=(_CONTEXT,),
            problems=_WRONG_PARAMETER,
        )
    }

    def get(self, request: Request, context_key: str) -> Response:
        """The credentials that are enabled in a course, lesson or pathway; none when the key is unknown."""
        refuse_unknown(request, ())
        rows = _configured(context_key)
        data = {
            "context_key": context_key,
            "has_credentials": bool(rows),
            "credential_count": len(rows),
            "configurations": [
                {"id": row.pk, "title": row.credential_type.name, "availability": row.availability} for row in rows
            ],
        }
        return Response(serializers.ConfiguredContextSerializer(data).data)


class EligibilityView(PluginAPIView):
    """How far a learner is in a context."""

    throttle_classes = [PerUserThrottle, PerUserOfTheLms]
    operations = {
        "get": Operation(
            "contexts_eligibility",
            "Show how far a learner is in a context",
            serializers.EligibilityOfContextSerializer,
            parameters=(_CONTEXT, *_WHO),
            problems={**_WRONG_PARAMETER, "404": "Nothing is given there, or the LMS does not know them.", **_NO_LMS},
        )
    }

    def get(self, request: Request, context_key: str) -> Response:
        """Progress towards each credential of a context: one's own, or with the permission to view them anybody's."""
        refuse_unknown(request, PARAMETERS)
        rows = _configured(context_key)
        if not rows:
            raise NotFound(_("No credential is given there."))
        try:
            person = person_at_lms(request, VIEW)
            results = [] if person is None else _eligibility_results(rows, person)
        except BadgesError as error:  # its message is for staff, who find it in the runs and in the log
            log.warning("Eligibility cannot be determined: %s", error)
            raise Unavailable(
                _("The LMS does not answer at the moment."), getattr(error, "retry_after", None)
            ) from error
        if person is None:
            raise NotFound(_("The LMS does not know this learner."))
        data = {
            "context_key": context_key,
            "lms_user_id": person.lms_user_id,
            "username": person.username,
            "credentials": results,
        }
        return Response(serializers.EligibilityOfContextSerializer(data).data)


class MetadataView(PublicAPIView):
    """What the verification page says, for programs."""

    operations = {
        "get": Operation(
            "verification_metadata",
            "Verify a certificate by its code",
            serializers.MetadataSerializer,
            parameters=(_CODE,),
            problems={"404": "There is no such certificate."},
        )
    }

    def get(self, request: Request, code: str) -> Response:
        """Whether a certificate is valid, for everybody who has its code. Lower case and lookalikes are accepted."""
        result = find(code, now=timezone.now())
        if result is None:
            raise NotFound
        return Response(serializers.MetadataSerializer(result).data)


def _choice(request: Request, name: str, known: dict[str, Any]) -> Any:
    text = request.query_params.get(name, "")
    if text not in known:
        raise ValidationError({name: [_("Write %(known)s.") % {"known": _(" or ").join(filter(None, known))}]})
    return known[text]


def _holdings(rows: list[dict[str, Any]]) -> Any:
    return serializers.HoldingSerializer(rows, many=True).data


def _certificate(id: str) -> Credential:
    try:
        return Credential.objects.select_related("configuration__credential_type").get(pk=uuid.UUID(id))
    except (ValueError, Credential.DoesNotExist):
        raise NotFound from None


def _configured(context_key: str) -> list[CredentialConfiguration]:
    if "\0" in context_key:
        return []
    rows = CredentialConfiguration.objects.filter(context_key=context_key, enabled=True)
    return list(rows.select_related("credential_type").order_by("credential_type__name"))


def _eligibility_results(rows: list[CredentialConfiguration], person: Person) -> list[dict[str, Any]]:
    credentials = api.credentials_of(person.lms_user_id).filter(configuration__in=rows).order_by("issued_at", "pk")
    newest = {credential.configuration_id: credential for credential in credentials}
    return [_result(row, person, newest.get(row.pk)) for row in rows]


def _result(row: CredentialConfiguration, person: Person, held: Credential | None) -> dict[str, Any]:
    unknown: dict[str, Any] = {
        "configuration": row.pk,
        "title": row.credential_type.name,
        "eligible": None,
        "progress": {},
        "reasons": [_("This is not known at the moment; staff have to look at this credential.")],
        "credential": represent_certificate(held) if held else None,
    }
    try:
        (found,) = api.eligibility(row, [person])
    except Permanent:  # the reason is for staff; the other credentials are shown all the same
        return unknown
    eligibility = found.eligibility
    return {
        **unknown,
        "eligible": eligibility.eligible,
        "progress": eligibility.progress,
        "reasons": list(eligibility.reasons),
    }
