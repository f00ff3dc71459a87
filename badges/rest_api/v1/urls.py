"""Addresses of version 1."""

from django.urls import path

from badges.rest_api.v1 import criteria, runs, schemas, templates, views

urlpatterns = [
    path("credentials/", views.CredentialListView.as_view(), name="credential-list"),
    path("credentials/<str:id>/", views.CredentialDetailView.as_view(), name="credential-detail"),
    path("retirements/", views.RetirementView.as_view(), name="retirements"),
    path("progress/", views.ProgressListView.as_view(), name="progress-list"),
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
    path("runs/", runs.RunListView.as_view(), name="run-list"),
    path("runs/<str:id>/", runs.RunDetailView.as_view(), name="run-detail"),
]
