"""
Certifications: learners have completed certifications of another service.

Rows of ``CertificationMapping`` say which badges a certification gives. A completion without a mapping is stored, and
nothing else happens.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from uuid6 import uuid7

from badges import granting
from badges.flows import accounts
from badges.flows.accounts import Received
from badges.flows.models import CertificationAward, CertificationCompletion, CertificationMapping
from badges.granting import NewAward
from badges.granting.awards import GrantedTemplate
from badges.inserts import insert, new_row
from badges.intake.kinds import Handled
from badges.intake.models import InboxMessage

TEMPLATE_NOT_ACTIVE = (
    "A badge template that the certification of this event gives is not active. Activate the template or remove the "
    "mapping, then retry. What else the certification gives was awarded."
)


@dataclass
class _Given:
    """What one certification gives: the templates that are awarded now, and the ids of those that are not."""

    templates: list[GrantedTemplate] = field(default_factory=list)
    not_active: list[int] = field(default_factory=list)


def handle(rows: Sequence[InboxMessage], *, now: dt.datetime) -> Handled:
    """
    Store the completions of the rows, and award what their certifications give, each badge once to each learner.

    A row about an account that is not known yet waits; after ``flows.account_wait_hours`` it becomes a dead letter. A
    template that is not active is left out, and the row becomes a dead letter unless the learner was given this badge
    before. When the row is tried again, or the event is sent again, only what was left out is awarded.

    The handler of the kind ``certification`` of inbox rows. The number of statements does not depend on the number of
    rows.
    """
    handled = Handled()
    known = list(accounts.received(rows, handled, if_unknown=lambda row: accounts.wait_or_give_up(row, handled, now)))
    if not known:
        return handled
    _store_completions(known, now)
    given = _given_by({each.event.data["certificationId"] for each in known})
    wanted: dict[tuple[int, int], tuple[Received, GrantedTemplate]] = {}
    for each in known:
        for template in given[each.event.data["certificationId"]].templates:
            wanted.setdefault((each.learner.pk, template.id), (each, template))
    found_in = {key: each for key, (each, _) in wanted.items()}
    new = accounts.store_new(CertificationAward, found_in, now=now)
    awards = [NewAward(key[0], wanted[key][1], wanted[key][0].cause) for key in new]
    handled.awarded = len(granting.award(awards, now=now))
    missing = [(each, given[each.event.data["certificationId"]].not_active) for each in known]
    handled.dead += [(each.row, TEMPLATE_NOT_ACTIVE) for each in _not_given_yet(missing)]
    return handled


def _store_completions(known: Iterable[Received], now: dt.datetime) -> None:
    """Store completions that are not stored yet; one statement."""
    completions: dict[tuple[int, str], CertificationCompletion] = {}
    for each in known:
        certification_id = each.event.data["certificationId"]
        completions.setdefault(
            (each.learner.pk, certification_id),
            new_row(
                CertificationCompletion,
                id=uuid7(),
                learner_id=each.learner.pk,
                certification_id=certification_id,
                event_source=each.event.source,
                event_id=each.event.id,
                event_time=dt.datetime.fromisoformat(each.event.data["completedAt"]),
                received_at=now,
            ),
        )
    insert([completions[key] for key in sorted(completions)], unique=("learner", "certification_id"))


def _given_by(certification_ids: Collection[str]) -> dict[str, _Given]:
    """Return what each of the certifications gives; at most three statements."""
    rows = CertificationMapping.objects.filter(certification_id__in=certification_ids).order_by("pk")
    mappings = list(rows.values_list("certification_id", "template_id"))
    awardable = granting.awardable({template_id for _, template_id in mappings})
    found = {certification_id: _Given() for certification_id in certification_ids}
    for certification_id, template_id in mappings:
        if template_id in awardable:
            found[certification_id].templates.append(awardable[template_id])
        else:
            found[certification_id].not_active.append(template_id)
    return found


def _not_given_yet(missing: Iterable[tuple[Received, Collection[int]]]) -> list[Received]:
    """Return those whose learner was not given one of these templates before; one statement, or none."""
    pairs = [(each, template_id) for each, template_ids in missing for template_id in template_ids]
    if not pairs:
        return []
    awards = CertificationAward.objects.filter(
        learner__in={each.learner.pk for each, _ in pairs}, template__in={template_id for _, template_id in pairs}
    )
    before = set(awards.order_by().values_list("learner_id", "template_id"))
    lacking = {each.row.pk: each for each, template_id in pairs if (each.learner.pk, template_id) not in before}
    return list(lacking.values())
