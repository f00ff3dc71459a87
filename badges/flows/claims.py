"""
Claims: learners have claimed badges at another service (``users.stickerClaimed.v1``).

A claim counts, once for each learner and template. It awards nothing, unless ``LMS_BADGES_CONFIG["flows"]`` has
``claims_award``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from badges import granting
from badges.catalog.queries import templates_named
from badges.conf import config
from badges.flows import accounts
from badges.flows.accounts import UNKNOWN_ACCOUNT, Received
from badges.flows.models import StickerClaim
from badges.granting import NewAward
from badges.intake.kinds import Handled
from badges.intake.models import InboxMessage, Learner

UNKNOWN_STICKER = "There is no badge template with this slug or UUID. Correct the sender, or add it; then retry."


def claimed_count(learner: Learner) -> int:
    """Return how many badges a learner has claimed; one statement."""
    return StickerClaim.objects.filter(learner=learner).count()


def handle(rows: Sequence[InboxMessage], *, now: dt.datetime) -> Handled:
    """
    Store the claims of the rows. A row about an unknown account or badge becomes a dead letter; the others go on.

    The handler of the kind ``sticker-claim`` of inbox rows. The number of statements does not depend on the number of
    rows.
    """
    handled = Handled()
    known = list(accounts.received(rows, handled, if_unknown=lambda row: handled.dead.append((row, UNKNOWN_ACCOUNT))))
    templates = templates_named(each.event.data["stickerId"] for each in known)
    claims: dict[tuple[int, int], Received] = {}
    for each in known:
        template = templates.get(each.event.data["stickerId"])
        if template is None:
            handled.dead.append((each.row, UNKNOWN_STICKER))
        else:
            claims.setdefault((each.learner.pk, template.pk), each)
    new = accounts.store_new(StickerClaim, claims, now=now)
    if config.flows["claims_award"] and new:
        awardable = granting.awardable({template_id for _, template_id in new})
        awards = [
            NewAward(learner_id, awardable[template_id], claims[learner_id, template_id].cause)
            for learner_id, template_id in new
            if template_id in awardable
        ]
        handled.awarded = len(granting.award(awards, now=now))
    return handled
