"""Addresses of version 1."""

from django.urls import path

from badges.rest_api.v1 import (
    credentials,
    criteria,
    event_types,
    events,
    explanations,
    runs,
    schemas,
    templates,
    views,
    webhooks,
)

urlpatterns = [
    path("credentials/", credentials.CredentialListView.as_view(), name="credential-list"),
    path("credentials/<str:id>/", credentials.CredentialDetailView.as_view(), name="credential-detail"),
    path("credentials/<str:id>/revoke/", credentials.RevokeView.as_view(), name="credential-revoke"),
    path("credentials/<str:id>/lift-block/", credentials.LiftBlockView.as_view(), name="credential-lift-block"),
    path("retirements/", views.RetirementView.as_view(), name="retirements"),
    path("progress/", views.ProgressListView.as_view(), name="progress-list"),
    path("explain/", explanations.ExplanationView.as_view(), name="explain"),
    path("criteria/validate/", criteria.CriteriaValidationView.as_view(), name="criteria-validate"),
    path("criteria/evaluate/", criteria.CriteriaEvaluationView.as_view(), name="criteria-evaluate"),
    path("schemas/<str:name>.json", schemas.LanguageSchemaView.as_view(), name="schema-file"),
    path("templates/", templates.TemplateListView.as_view(), name="template-list"),
    path("templates/<str:slug>/", templates.TemplateDetailView.as_view(), name="template-detail"),
    path("templates/<str:slug>/revisions/", templates.TemplateRevisionListView.as_view(), name="template-revisions"),
    path(
        "templates/<str:slug>/revisions/<int:number>/",
        templates.TemplateRevisionDetailView.as_view(),
        name="template-revision",
    ),
    path("events/", events.EventsView.as_view(), name="events"),
    path("event-types/", event_types.EventTypeListView.as_view(), name="event-type-list"),
    path("event-types/<path:name>/", event_types.EventTypeDetailView.as_view(), name="event-type-detail"),
    path(
        "webhooks/<str:provider>/<str:organization>/<str:secret>/",
        webhooks.WebhookView.as_view(),
        name="webhook",
    ),
    path("runs/", runs.RunListView.as_view(), name="run-list"),
    path("runs/<str:id>/", runs.RunDetailView.as_view(), name="run-detail"),
]
