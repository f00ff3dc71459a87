"""
The page on which a learner opts out of mails about badges.

Mails link to it. The signed token of the link names the learner, so nobody has to sign in. Opening the page changes
nothing, because programs open links, too; the button does. Mail programs send the same request themselves (RFC 8058).
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from badges.mail import opting_out
from badges.pages.responses import unstored

TEMPLATE = "lms_badges/mail_opt_out.html"
# The name of the button that takes it back.
AGAIN = "again"


@csrf_exempt  # the token is the permission; a mail program has no cookie
@require_http_methods(["GET", "HEAD", "POST"])
def opt_out(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button, or opt the learner of a token out of mails, or in again."""
    learner = opting_out.learner_named(token)
    if learner is None:
        return _answer(request, {"missing": True}, status=404)
    if request.method == "POST":
        if AGAIN in request.POST:
            opting_out.opt_in(learner)
        else:
            opting_out.opt_out(learner, now=timezone.now())
    return _answer(request, {"opted_out": opting_out.has_opted_out(learner.pk)})


def _answer(request: HttpRequest, context: dict[str, bool], *, status: int = 200) -> HttpResponse:
    return unstored(render(request, TEMPLATE, context, status=status), referrer="no-referrer")
