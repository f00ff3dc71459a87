"""
The learner's own page: what I hold, what I have begun, what is missing, and what else there is to earn.

Nobody sees the page of another person, whatever their permissions are: staff have the admin.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import ValidationError
from rest_framework.utils.urls import replace_query_param

from badges import api
from badges.awarding.sharing import set_public
from badges.conf import config, user_lms_id_field
from badges.engagement.activities import stats_of
from badges.intake.models import Learner
from badges.pages.earning import OtherTemplatesPagination, begun_by, in_words, others_for
from badges.pages.held import HeldPagination, cards_of
from badges.pages.responses import unstored

TEMPLATE = "lms_badges/learner_page.html"
YES, NO = "yes", "no"
# The parameters of the list of holdings, which are kept when something of it is changed.
KEPT = ("held", "ended")


@require_safe
@login_required
@csrf_protect
def learner_page(request: HttpRequest) -> HttpResponse:
    """Show what the account that is signed in holds and may earn."""
    user: Any = request.user
    learner = api.learner_of(user)
    learner_id, now = (learner.pk if learner else None), timezone.now()
    held, more = HeldPagination(), OtherTemplatesPagination()
    ended, page = request.GET.get("ended") == YES, _page_number(request)
    try:
        cards = cards_of(learner_id, request, held, ended=ended, now=now) if learner_id is not None else []
        others = others_for(learner_id, request, more, now=now) if config.pages["list_templates"] else []
    except ValidationError:  # a cursor that nobody has made
        raise Http404 from None
    begun, is_more_begun = begun_by(learner_id, page, now=now) if learner_id is not None else ([], False)
    begun_words, other_words = in_words(
        begun, others, lms_user_id=_lms_user_id(user, learner), learner_id=learner_id, at=now
    )
    address = request.get_full_path()
    context = {
        "cards": cards,
        "held": held,
        "ended": ended,
        "kept": [(name, request.GET[name]) for name in KEPT if name in request.GET],
        "begun": begun_words,
        "begun_before": replace_query_param(address, "progress", page - 1) if page > 1 else "",
        "begun_after": replace_query_param(address, "progress", page + 1) if is_more_begun else "",
        "others": other_words,
        "more": more,
        "stats": stats_of([learner_id], now=now)[learner_id] if learner_id is not None else None,
    }
    return unstored(render(request, TEMPLATE, context), referrer="same-origin")


@require_POST
@login_required
@csrf_protect
def share(request: HttpRequest, id: str) -> HttpResponse:
    """Open or close the public page of a badge of the learner who is signed in, and return to the learner's page."""
    choice = request.POST.get("public")
    try:
        credential_id = uuid.UUID(id)
    except ValueError:
        raise Http404 from None
    if choice not in (YES, NO) or not set_public(credential_id, choice == YES, owner=Q(learner__user=request.user)):
        raise Http404
    kept = urlencode({name: request.POST[name] for name in KEPT if name in request.POST})
    address = reverse("lms_badges:learner-page")
    return HttpResponseRedirect(f"{address}{'?' if kept else ''}{kept}#badge-{credential_id}")


def _page_number(request: HttpRequest) -> int:
    text = request.GET.get("progress", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) >= 1):
        raise Http404
    return int(text)


def _lms_user_id(user: Any, learner: Learner | None) -> int | None:
    """Return the LMS user id by which events of a person are logged, also before there is a learner."""
    if learner is not None:
        return learner.lms_user_id
    field = user_lms_id_field()
    text = str(getattr(user, field)) if field else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
