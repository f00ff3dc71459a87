"""The public verification page, without login, cookie or script, and the documents behind signed links."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, TypeVar

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from credentials_config.issuing import codes, documents
from credentials_config.models import Credential, CredentialStatus
from credentials_config.verification.lookup import find
from credentials_config.verification.throttling import seconds_to_wait

_Response = TypeVar("_Response", bound=HttpResponseBase)

TEMPLATE = "lms_credentials_config/verification.html"


@require_safe
def ask(request: HttpRequest) -> HttpResponse:
    """Show the form for a code, or redirect to the page of the code that was typed."""
    typed = request.GET.get("code", "").strip()
    if not typed:
        return _page(request, {})
    code = codes.normalized(typed)
    return _redirect_to(code) if code else _missing(request)


@require_safe
def verify(request: HttpRequest, code: str) -> HttpResponse:
    """Show the state of the credential with this code."""
    wait = seconds_to_wait(request)
    if wait:
        response = _page(request, {"wait": wait}, status=429)
        response["Retry-After"] = str(wait)
        return response
    result = find(code, now=timezone.now())
    if result is None:
        return _missing(request)
    # One address for each certificate, however its code was typed.
    return _page(request, {"result": result}) if result.code == code else _redirect_to(result.code)


@require_safe
def document(request: HttpRequest, token: str) -> HttpResponseBase:
    """Serve the document of a signed link, unless its credential was invalidated."""
    code = documents.code_of_token(token)
    if code is None:
        return _page(request, {"gone": True}, status=404)
    shown = (CredentialStatus.AVAILABLE, CredentialStatus.EXPIRED)
    row = Credential.objects.filter(verification_code=code, status__in=shown).exclude(document="").first()
    if row is None:
        return _redirect_to(code)  # the page says that it was revoked, if it was
    address = documents.fetch_url(row.document)
    return _private(HttpResponseRedirect(address)) if address else _file(request, row.document)


def _file(request: HttpRequest, name: str) -> HttpResponseBase:
    try:
        file = documents.storage().open(name)
    except FileNotFoundError:  # it was replaced a moment ago, or somebody removed it
        return _page(request, {"gone": True}, status=404)
    response = _private(FileResponse(file, filename=f"certificate{PurePosixPath(name).suffix}"))
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _redirect_to(code: str) -> HttpResponse:
    return _private(HttpResponseRedirect(reverse("lms_credentials_config:verify", args=[code])))


def _missing(request: HttpRequest) -> HttpResponse:
    return _page(request, {"missing": True}, status=404)


def _page(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return _private(render(request, TEMPLATE, context, status=status))


def _private(response: _Response) -> _Response:
    """Keep names out of search engines, codes out of the logs of other sites, and both out of caches."""
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Referrer-Policy"] = "no-referrer"
    add_never_cache_headers(response)
    return response
