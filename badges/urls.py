"""Addresses of the plugin, all in the namespace ``lms_badges``."""

from __future__ import annotations

from django.urls import include, path

from badges.pages.addresses import path_of_pages
from badges.rest_api import documentation
from badges.rest_api.v1.webhooks import WebhookWithoutSecretView

app_name = "lms_badges"
urlpatterns = [
    path("api/badges/v1/", include("badges.rest_api.v1.urls")),
    path("api/", include("badges.rest_api.flows_v1.urls")),
    path("api/v1/", include("badges.rest_api.activities_v1.urls")),
    path("api/schema/", documentation.SchemaView.as_view(), name="schema"),
    path("api/docs/", documentation.docs, name="docs"),
    # Where the host's own badges app took Credly's webhooks. Switched off by default.
    path("badges/credly/webhook/", WebhookWithoutSecretView.as_view(), name="webhook-without-secret"),
    path(path_of_pages(), include("badges.pages.urls")),
]
