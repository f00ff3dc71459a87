"""The host's addresses: its own API beside the plugin's, which is mounted below a prefix."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView


class HostView(APIView):
    """A view of the host's, which does not belong in the plugin's document."""

    versioning_class = None

    def get(self, request: Any) -> Response:
        return Response()


urlpatterns = [
    path("host/", HostView.as_view()),
    path("plugins/", include("badges.urls", namespace="lms_badges")),
    path("plugins/", include("credentials_config.urls", namespace="lms_credentials_config")),
]
