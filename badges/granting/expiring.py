"""
Expiring: credentials at their end are marked as expired, and the facts that earned them count no more.

From its end on, readers treat a credential as expired, so nobody waits for this. It makes room for what follows: the
requirements are open again, and the learner can earn the badge once more.

A learner may have met all requirements anew before the end, without a renewal: it would not have ended later, or the
template has got a shorter time since. Then no event follows that could award the badge, so it is awarded here.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import transaction

from badges.awarding.models import ACTIVE, UserCredential
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.documents import CRITERIA_KEY
from badges.catalog.models import BadgeRequirement
from badges.database import in_transaction
from badges.granting.awards import NewAward, award
from badges.granting.ends import ActiveCredential, facts_count_until, mark_ended
from badges.granting.messages import messages_of_end
from badges.granting.templates import awardable
from badges.intake import checks
from badges.intake.checks import Check
from badges.intake.learners import lock
from badges.intake.models import Learner
from badges.outbox import mailbox
from badges.progress import states
from badges.progress.states import ProgressState

log = logging.getLogger(__name__)

# So many credentials are marked in one transaction.
BATCH = 200


def expire_due(*, now: dt.datetime, limit: int = BATCH) -> int:
    """
    Mark up to ``limit`` credentials that are at their end as expired, the oldest ends first; return how many.

    It is one transaction with a constant number of statements. Each credential expires once, however many workers call
    this. Raises Retryable when the database did not answer.
    """
    due = UserCredential.objects.filter(active_key=ACTIVE, valid_until__lte=now).order_by("valid_until", "id")
    found = list(due.values_list("id", "learner_id")[:limit])
    return in_transaction(lambda: _expire(found, now)) if found else 0


def _expire(found: Sequence[tuple[uuid.UUID, int]], now: dt.datetime) -> int:
    lms_user_ids = lock(learner_id for _, learner_id in found)
    # Read again: another worker, an award or a revocation may have come first.
    rows = UserCredential.objects.filter(pk__in=[pk for pk, _ in found], active_key=ACTIVE, valid_until__lte=now)
    credentials = sorted(rows, key=lambda credential: credential.learner_template_id)
    if not credentials:
        return 0
    earned_anew = _reset_progress(credentials, lms_user_ids, now)
    # An award ends the credential that it replaces, and tells of it.
    replaced = {each.replaces_id for each in award(_allowed(earned_anew), now=now)}
    others = [each for each in credentials if each.pk not in replaced]
    ended = [ActiveCredential(each.pk, each.learner_id, each.awarded_at, each.valid_until) for each in others]
    mark_ended(ended, now=now)
    mailbox.post([message for each in others for message in messages_of_end(each.learner_id, each.pk)], now=now)
    transaction.on_commit(lambda: _log(credentials))
    return len(credentials)


def _reset_progress(
    credentials: Sequence[UserCredential], lms_user_ids: Mapping[int, int | None], now: dt.datetime
) -> list[tuple[UserCredential, dt.datetime]]:
    """
    Make the facts void that counted for credentials; at most six statements.

    Returns the credentials whose requirements are all met by later facts, each with the moment since which they are.
    """
    state_of = states.load([credential.learner_template_id for credential in credentials])
    requirements = _requirements({credential.template_id for credential in credentials})
    to_ask, earned_anew = [], []
    for credential in credentials:
        assert credential.valid_until is not None
        at = facts_count_until(credential.awarded_at, credential.valid_until)
        state, demanded = state_of[credential.learner_template_id], requirements.get(credential.template_id, ())
        reset = _reset(state, at, credential.revision_id, now)
        groups = [(each.id, each.group) for each in demanded]
        state.recompute(groups, now=now)
        since = state.complete_since(groups)
        if since is not None and since > at:
            earned_anew.append((credential, since))
        if any(each.key == CRITERIA_KEY and each.id in reset for each in demanded):
            # Events that count for the next badge may have come in already.
            check = Check(credential.learner_id, credential.template_id, at + dt.timedelta(microseconds=1))
            to_ask.append((check, lms_user_ids[credential.learner_id]))
    changed = ((state_of[each.learner_template_id], each.learner_id, each.template_id) for each in credentials)
    states.store(changed, now=now)
    checks.schedule(to_ask, now=now)
    return earned_anew


def _allowed(earned_anew: Sequence[tuple[UserCredential, dt.datetime]]) -> list[NewAward]:
    """
    Return the awards of badges that were earned anew before their end; three statements, none without such badges.

    A template that is inactive or archived is left out, and so is a learner who was retired.
    """
    if not earned_anew:
        return []
    templates = awardable({credential.template_id for credential, _ in earned_anew})
    learners = Learner.objects.filter(pk__in={credential.learner_id for credential, _ in earned_anew})
    known = set(learners.exclude(lms_user_id=None, user=None).values_list("pk", flat=True))
    return [
        NewAward(
            credential.learner_id,
            templates[credential.template_id],
            Cause(CauseKind.TIME, event_time=credential.valid_until),
            since,
        )
        for credential, since in earned_anew
        if credential.template_id in templates and credential.learner_id in known
    ]


def _reset(state: ProgressState, at: dt.datetime, revision_id: int, now: dt.datetime) -> set[int]:
    """Make facts at or before ``at`` void, in memory; return the requirements that are open because of that."""
    cause = Cause(CauseKind.EXPIRED, event_time=at)
    return {
        requirement_id
        for requirement_id in list(state.fulfilled)
        if state.reset(requirement_id, cause=cause, at=at, revision_id=revision_id, now=now)
    }


class _Requirement(NamedTuple):
    id: int
    group: str | None
    key: str


def _requirements(template_ids: Iterable[int]) -> dict[int, list[_Requirement]]:
    """Return the requirements of templates by id of the template; one statement."""
    found: dict[int, list[_Requirement]] = {}
    rows = BadgeRequirement.objects.filter(template__in=template_ids, archived_at=None).order_by()
    for template_id, requirement_id, group, key in rows.values_list("template_id", "id", "group", "key"):
        found.setdefault(template_id, []).append(_Requirement(requirement_id, group, key))
    return found


def _log(credentials: Sequence[UserCredential]) -> None:
    for credential in credentials:
        log.info("Credential %s of learner %s has expired", credential.pk, credential.learner_id)
