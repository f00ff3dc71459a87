"""The dry-run page: who would get a credential now, and who not and why. Nothing is written."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials_config import api, lms
from credentials_config.api import PersonEligibility
from credentials_config.models import CredentialConfiguration, CredentialStatus
from credentials_config.processors.csv_list import MAX_ID_DIGITS
from credentials_config.schedules import Closed, Decision, Skip, decide

# The page shows at most so many people, so that it loads in time. The command shows all of them.
MOST = 500


def dry_run_page(admin: Any, request: HttpRequest, configuration: CredentialConfiguration) -> HttpResponse:
    """Return the page. Raises Permanent or Retryable when eligibility cannot be determined."""
    context = lms.client().context(configuration.context_key)
    who = request.POST.get("who", "").strip()
    found, more = (_ask(configuration, who), False) if who else _first(configuration)
    page = {
        **admin.admin_site.each_context(request),
        "title": _("Dry run"),
        "opts": admin.opts,
        "original": configuration,
        "context": context,
        "date_checks": _describe(decide(configuration.schedule_rules, context, timezone.now())),
        "who": who,
        "findings": [{"person": one.person, "reasons": one.eligibility.reasons, **_result(one)} for one in found],
        "would": sum(_would_get(one) for one in found),
        "more": more,
        "most": MOST,
    }
    return TemplateResponse(request, "admin/lms_credentials_config/dry_run.html", page)


def _first(configuration: CredentialConfiguration) -> tuple[list[PersonEligibility], bool]:
    found = list(islice(api.survey(configuration), MOST + 1))
    return found[:MOST], len(found) > MOST


def _ask(configuration: CredentialConfiguration, who: str) -> list[PersonEligibility]:
    """Return the finding on one person. Digits are always an LMS user id, which is never longer than MAX_ID_DIGITS."""
    if who.isascii() and who.isdigit():
        people = lms.client().find(lms_user_ids=[int(who)] if len(who) <= MAX_ID_DIGITS else [])
    else:
        people = lms.client().find(usernames=[who])
    return api.eligibility(configuration, list(people))


def _would_get(one: PersonEligibility) -> bool:
    return one.eligibility.eligible and not one.holds


def _result(one: PersonEligibility) -> dict[str, Any]:
    if one.holds:
        label = CredentialStatus(one.holds).label
        return {"result": _("has one already (%(status)s)") % {"status": label}, "css_class": "has"}
    if one.eligibility.eligible:
        return {"result": _("would get it"), "css_class": "yes"}
    return {"result": _("would not get it"), "css_class": "no"}


def _describe(decision: Decision) -> str:
    if isinstance(decision, (Skip, Closed)):
        return _("A schedule that fires now gives nothing: %(reason)s") % {"reason": decision.reason}
    return _("A schedule that fires now looks for eligible learners.")
