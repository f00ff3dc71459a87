"""
Addresses of the pages, below ``badges/``.

The public address of a credential is in the profiles and the mails of learners for years, so it never changes.
"""

from __future__ import annotations

from django.urls import path

from badges.pages import public

urlpatterns = [
    path("credentials/<str:id>/", public.credential_page, name="credential-page"),
]
