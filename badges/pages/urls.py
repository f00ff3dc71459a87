"""
Addresses of the pages, below the setting ``pages.path``.

The public address of a credential is in the profiles and the mails of learners for years, so it never changes. The same
is true of the address at which a learner opts out of mails.
"""

from __future__ import annotations

from django.urls import path

from badges.pages import learner, mail, public, why

urlpatterns = [
    path("", learner.learner_page, name="learner-page"),
    path("credentials/<str:id>/", public.credential_page, name="credential-page"),
    path("credentials/<str:id>/share/", learner.share, name="credential-share"),
    path("why/<str:slug>/", why.why_page, name="learner-why"),
    path("mail/<str:token>/", mail.opt_out, name="mail-opt-out"),
]
