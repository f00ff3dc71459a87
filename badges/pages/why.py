"""
Why have I not got this badge, or why have I: the learner's own answer.

It is the answer that staff get, too. Nobody asks about another person here, whatever their permissions are.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from badges import api
from badges.catalog.models import BadgeTemplate
from badges.explanations import is_shown_to_learners
from badges.pages.responses import unstored

TEMPLATE = "lms_badges/learner_why.html"


@require_safe
@login_required
def why_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show why the account that is signed in has a badge or not."""
    user: Any = request.user
    try:
        answer = api.why(user, slug)
    except BadgeTemplate.DoesNotExist:
        raise Http404 from None
    if not is_shown_to_learners(answer):
        raise Http404
    context = {"badge": answer.template.name, "held": answer.held, "sentences": api.answer_sentences(answer)}
    return unstored(render(request, TEMPLATE, context), referrer="same-origin")
