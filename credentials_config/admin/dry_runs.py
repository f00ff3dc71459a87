"""Who would get a credential, and who not and why: asked of the LMS, written down nowhere."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from credentials_config import api, lms
from credentials_config.api import Finding
from credentials_config.issuing.runs import gates_of
from credentials_config.models import CredentialConfiguration, CredentialStatus
from credentials_config.processors.csv_list import MAX_ID_DIGITS
from credentials_config.schedules import Closed, Decision, Skip, decide

# A page is patient for so many people; the command looks at all of them.
MOST = 500


def dry_run_page(admin: Any, request: HttpRequest, configuration: CredentialConfiguration) -> HttpResponse:
    """Return the page. Raises Permanent or Retryable when nobody can be asked about."""
    context = lms.client().context(configuration.context_key)
    who = request.POST.get("who", "").strip()
    found, more = (_ask(configuration, who), False) if who else _first(configuration)
    shown = {
        **admin.admin_site.each_context(request),
        "title": _("Dry run"),
        "opts": admin.opts,
        "original": configuration,
        "context": context,
        "gates": _gates_in_words(decide(gates_of(configuration), context, timezone.now())),
        "who": who,
        "findings": [{"person": one.person, "reasons": one.eligibility.reasons, **_verdict(one)} for one in found],
        "would": sum(_gets(one) for one in found),
        "more": more,
        "most": MOST,
    }
    return TemplateResponse(request, "admin/lms_credentials_config/dry_run.html", shown)


def _first(configuration: CredentialConfiguration) -> tuple[list[Finding], bool]:
    found = list(islice(api.survey(configuration), MOST + 1))
    return found[:MOST], len(found) > MOST


def _ask(configuration: CredentialConfiguration, who: str) -> list[Finding]:
    """Ask about one person: digits are always an LMS user id, and nobody has one that is longer than MAX_ID_DIGITS."""
    if who.isascii() and who.isdigit():
        people = lms.client().find(lms_user_ids=[int(who)] if len(who) <= MAX_ID_DIGITS else [])
    else:
        people = lms.client().find(usernames=[who])
    return api.eligibility(configuration, list(people))


def _gets(one: Finding) -> bool:
    return one.eligibility.eligible and not one.holds


def _verdict(one: Finding) -> dict[str, Any]:
    if one.holds:
        label = CredentialStatus(one.holds).label
        return {"verdict": _("has one already (%(status)s)") % {"status": label}, "tone": "has"}
    if one.eligibility.eligible:
        return {"verdict": _("would get it"), "tone": "yes"}
    return {"verdict": _("would not get it"), "tone": "no"}


def _gates_in_words(decision: Decision) -> str:
    if isinstance(decision, (Skip, Closed)):
        return _("A schedule that fires now gives nothing: %(reason)s") % {"reason": decision.reason}
    return _("A schedule that fires now looks for eligible learners.")
