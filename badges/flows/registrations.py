"""
Registrations at another service (``users.userRegistered.v1``): they give the welcome badge, once for each learner.

``LMS_BADGES_CONFIG["flows"]["welcome_badge"]`` names the template. Without it nothing happens. These events are never
published again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from uuid6 import uuid7

from badges import granting
from badges.catalog.models import BadgeTemplate
from badges.conf import config
from badges.flows import accounts
from badges.flows.accounts import Received
from badges.flows.models import WelcomeAward
from badges.granting import NewAward
from badges.inserts import insert, new_row
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
    awards = [NewAward(pk, template, known[pk].cause) for pk in _store(known, template.id, now)]
    handled.awarded = len(granting.award(awards, now=now))
    return handled


def _store(known: dict[int, Received], template_id: int, now: dt.datetime) -> list[int]:
    """Store who gets the welcome badge; return the learners who had none before; two statements, or none."""
    made = [
        new_row(
            WelcomeAward,
            id=uuid7(),
            learner_id=learner_id,
            template_id=template_id,
            event_source=each.event.source,
            event_id=each.event.id,
            event_time=each.event.time,
            received_at=now,
        )
        for learner_id, each in sorted(known.items())
    ]
    if not made:
        return []
    insert(made, unique="learner")
    stored = WelcomeAward.objects.filter(id__in=[award.id for award in made])
    return sorted(stored.order_by().values_list("learner_id", flat=True))
