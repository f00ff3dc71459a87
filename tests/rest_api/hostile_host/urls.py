"""The host's addresses: its own API beside ours, which it mounts below a prefix."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView


class HostView(APIView):
    """A view of the host's, which belongs to no document of ours."""

    versioning_class = None

    def get(self, request: Any) -> Response:
        return Response()


urlpatterns = [
    path("host/", HostView.as_view()),
    path("plugins/", include("badges.urls", namespace="lms_badges")),
    path("plugins/", include("credentials_config.urls", namespace="lms_credentials_config")),
]
