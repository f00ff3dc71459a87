"""
Webhooks of providers: how the outside world tells us that something happened there.

The secret in the address says who calls. Nothing of a request is believed: it is written down what it is about, and the
answer is 200 at once. What happened is read from the provider afterwards (``badges.issuers.webhooks``).
"""

from __future__ import annotations

import io
import logging
import traceback
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, UnsupportedMediaType, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from badges.common.api_view import StrictJSONParser
from badges.common.openapi import JSON, Operation
from badges.conf import config
from badges.database import retry_transient
from badges.issuers import webhooks
from badges.issuers.base import Webhook, WebhookRefused, WebhookRequest
from badges.rest_api import views
from badges.rest_api.views import PluginAPIView

log = logging.getLogger(__name__)

# A provider sends it again later, so it need not wait long.
GIVE_UP_SECONDS = 5

# The address of the host's own badges app was Credly's.
OLD_ADDRESS_OF = "credly"

# How many more requests without a secret all clients together may send than one of them.
ALL_CLIENTS = 10


class ReceivedWebhookSerializer(serializers.Serializer[Any]):
    """What became of a webhook."""

    status = serializers.ChoiceField(choices=["accepted", "duplicate"])


class WebhookThrottle(views.PerUserThrottle):
    """The limit for each client is ``LMS_BADGES_CONFIG["rest_api"]["webhooks_per_minute"]``."""

    setting = "webhooks_per_minute"
    scope = "lms_badges_webhooks"


class AllWebhooksThrottle(WebhookThrottle):
    """The limit for all clients together."""

    scope = "lms_badges_all_webhooks"

    def get_rate(self) -> Any:
        limit = config.rest_api[self.setting]
        return None if limit is None else f"{int(limit) * ALL_CLIENTS}/min"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": "all"}


class _WebhookBase(PluginAPIView):
    """What both addresses have in common. No session is looked at, so no cookie gives anybody anything here."""

    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []

    def get_authenticators(self) -> list[Any]:
        return []

    def handle_exception(self, exc: Exception) -> Any:
        """
        Answer an unforeseen error with 500 and log it here.

        Django would write the address with its secret to its log and to the mail to the administrators. The values of
        variables, which such a mail may show, are left out for the same reason.
        """
        try:
            return super().handle_exception(exc)
        except Exception:
            log.error("A webhook was not taken because of an error here:\n%s", traceback.format_exc())
            return super().handle_exception(APIException())

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep a refused request out of Django's log, which would show the secret of the address; log it without."""
        answered = super().finalize_response(request, response, *args, **kwargs)
        if answered.status_code >= 400:
            answered._has_been_logged = True  # Django's mark of an answer that is in its log
            log.info("A webhook was refused (%s).", answered.status_code)
        return answered

    def content(self, request: Request, limit: int) -> bytes:
        """Return the exact bytes of a body that is JSON. Raises the errors of REST framework, such as 413 and 415."""
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise UnsupportedMediaType(media_type[:100] or "none")
        self.max_body_bytes = limit  # type: ignore[misc]  # a limit of the provider
        kept = _Kept(request)
        StrictJSONParser().parse(kept, parser_context={"view": self})
        return kept.read_bytes

    def answer(self, provider: str, webhook: Webhook, request: WebhookRequest) -> Response:
        now = timezone.now()
        try:
            is_new = retry_transient(
                lambda: webhooks.receive(provider, webhook, request, now=now), give_up_seconds=GIVE_UP_SECONDS
            )
        except WebhookRefused as error:
            raise ValidationError([str(error)]) from error
        return Response(ReceivedWebhookSerializer({"status": "accepted" if is_new else "duplicate"}).data)


class _Kept(io.RawIOBase):
    """The stream of a request, which keeps what was read of it."""

    def __init__(self, request: Request) -> None:
        self._request = request._request
        self.read_bytes = b""

    def read(self, size: int = -1) -> bytes:
        self.read_bytes = self._request.read(size)
        return self.read_bytes


class WebhookView(_WebhookBase):
    """Receives the webhooks of an organization at a provider."""

    operations = {
        "post": Operation(
            "webhooks_create",
            "Receive a webhook of a provider",
            ReceivedWebhookSerializer,
            body=OpenApiTypes.OBJECT,
            problems={
                "400": "The body is not what this provider sends.",
                "404": "The provider, the organization or the secret is wrong.",
                "503": "The database does not answer; nothing was stored. The provider sends it again.",
            },
            parameters=(
                OpenApiParameter("provider", str, "path", description="The slug of a provider, such as credly."),
                OpenApiParameter("organization", str, "path", description="The organization's id at the provider."),
                OpenApiParameter("secret", str, "path", description="The secret that the admin has shown once."),
            ),
        )
    }

    def post(self, request: Request, provider: str, organization: str, secret: str) -> Response:
        """
        Write down what a provider's request is about.

        What has happened is asked of the provider afterwards, with our own credentials; nothing of the request itself
        is believed. The same webhook may come any number of times.
        """
        try:
            webhook, identifier = retry_transient(
                lambda: webhooks.addressed(provider, organization, secret), give_up_seconds=GIVE_UP_SECONDS
            )
        except webhooks.UnknownWebhook as error:
            raise NotFound(str(error)) from error
        body = self.content(request, webhook.max_body_bytes)
        return self.answer(provider, webhook, WebhookRequest(identifier, body, _headers(request)))


class WebhookWithoutSecretView(_WebhookBase):
    """
    Receives webhooks at the address of the host's own badges app, which has no secret.

    Off unless the settings of the provider switch it on. Organizations that are not known here are refused, and
    requests are limited.
    """

    schema = None
    http_method_names = ["post"]
    throttle_classes = [WebhookThrottle, AllWebhooksThrottle]

    def post(self, request: Request) -> Response:
        """Write down what a request is about, as at the address with a secret."""
        body = self.content(request, Webhook.max_body_bytes)
        given = WebhookRequest("", body, _headers(request))
        try:
            webhook, organization = retry_transient(
                lambda: webhooks.organization_without_secret(OLD_ADDRESS_OF, given),
                give_up_seconds=GIVE_UP_SECONDS,
            )
        except webhooks.UnknownWebhook as error:
            raise NotFound(str(error)) from error
        except WebhookRefused as error:
            raise ValidationError([str(error)]) from error
        return self.answer(OLD_ADDRESS_OF, webhook, given._replace(organization=organization))


def _headers(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
