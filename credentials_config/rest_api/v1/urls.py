"""The URLs of version 1."""

from django.urls import path

from credentials_config.rest_api.v1 import views

urlpatterns = [
    path("credentials/", views.CredentialsView.as_view(), name="credentials"),
    path("credentials/<str:id>/reissue/", views.ReissueView.as_view(), name="reissue"),
    path("credentials/<str:id>/invalidate/", views.InvalidateView.as_view(), name="invalidate"),
    path("configured/<path:context_key>/", views.ConfiguredView.as_view(), name="configured"),
    path("eligibility/<path:context_key>/", views.EligibilityView.as_view(), name="eligibility"),
    path("metadata/<str:code>/", views.MetadataView.as_view(), name="metadata"),
]
