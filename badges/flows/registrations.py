"""
Registrations at another service (``users.userRegistered.v1``): they give the welcome badge, once for each learner.

``LMS_BADGES_CONFIG["flows"]["welcome_badge"]`` names the template. Without it nothing happens. These events are never
published again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from badges import granting
from badges.catalog.models import BadgeTemplate
from badges.conf import config
from badges.flows import accounts
from badges.flows.accounts import Received
from badges.flows.models import WelcomeAward
from badges.granting import NewAward
from badges.intake.kinds import Handled
from badges.intake.models import InboxMessage

NO_WELCOME_BADGE = (
    "LMS_BADGES_CONFIG['flows']['welcome_badge'] names no active badge template. Correct it or activate the template, "
    "then retry."
)


def handle(rows: Sequence[InboxMessage], *, now: dt.datetime) -> Handled:
    """
    Award the welcome badge to the learners of the rows who have not had it yet.

    A row about an account that is not known yet waits; after ``flows.account_wait_hours`` it becomes a dead letter. The
    others become dead letters while the setting names no active template.

    The handler of the kind ``registration`` of inbox rows. The number of statements does not depend on the number of
    rows.
    """
    handled = Handled()
    slug = config.flows["welcome_badge"]
    if not slug:
        return handled
    template_ids = BadgeTemplate.objects.filter(slug=slug).values_list("pk", flat=True)
    template = next(iter(granting.awardable(list(template_ids)).values()), None)
    known: dict[int, Received] = {}
    for each in accounts.received(rows, handled, if_unknown=lambda row: accounts.wait_or_give_up(row, handled, now)):
        known.setdefault(each.learner.pk, each)
        if template is None:
            handled.dead.append((each.row, NO_WELCOME_BADGE))
    if template is None:
        return handled
    given = {(pk, template.id): each for pk, each in known.items()}
    new = accounts.store_new(WelcomeAward, given, unique="learner", now=now)
    awards = [NewAward(pk, template, known[pk].cause) for pk, _ in new]
    handled.awarded = len(granting.award(awards, now=now))
    return handled
