"""The host's own API: REST framework's defaults, which are the host's, decide about everything."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler

from tests.hosts.credentials_like.credentials.models import UserCredential


def throttle_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer errors in the host's way."""
    answer = exception_handler(error, context)
    if answer is not None:
        answer.data = {"of_the_host": answer.data}
    return answer


def page(request: HttpRequest, **_: Any) -> HttpResponse:
    """Show nothing."""
    return HttpResponse("of the host")


class UserCredentialSerializer(serializers.ModelSerializer):
    """A credential, as the host tells it."""

    class Meta:
        model = UserCredential
        fields = ("username", "status", "uuid")


class UserCredentials(generics.ListAPIView):
    """Credentials, for whom Django's model permissions let in."""

    queryset = UserCredential.objects.order_by("pk")
    serializer_class = UserCredentialSerializer
