"""URLs of scheduled credentials, all in the namespace ``lms_credentials_config``."""

from __future__ import annotations

from django.urls import include, path

from credentials_config.verification import views as verification

app_name = "lms_credentials_config"
urlpatterns = [
    path("api/credentials/v1/", include("credentials_config.rest_api.v1.urls")),
    path("credentials/verify/", verification.ask, name="verify-ask"),
    path("credentials/verify/<str:code>", verification.verify, name="verify"),
    path("credentials/verify/<str:code>/", verification.verify),  # typed with one slash too many
    path("credentials/document/<str:token>", verification.document, name="document"),
]
