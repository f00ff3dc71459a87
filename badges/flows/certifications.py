"""
Certifications: learners have completed certifications of another service.

Rows of ``CertificationMapping`` say which badges a certification gives. A completion without a mapping is stored, and
nothing else happens.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

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


def handle(rows: Sequence[InboxMessage], *, now: dt.datetime) -> Handled:
    """
    Store the completions of the rows, and award what their certifications give, each badge once to each learner.

    A row about an account that is not known yet waits; after ``flows.account_wait_hours`` it becomes a dead letter. A
    template that is not active is left out; the event may be sent again when it is.

    The handler of the kind ``certification`` of inbox rows. The number of statements does not depend on the number of
    rows.
    """
    handled = Handled()
    known = list(accounts.received(rows, handled, if_unknown=lambda row: accounts.wait_or_give_up(row, handled, now)))
    if not known:
        return handled
    _store_completions(known, now)
    templates_of = _templates_of({each.event.data["certificationId"] for each in known})
    wanted: dict[tuple[int, int], tuple[Received, GrantedTemplate]] = {}
    for each in known:
        for template in templates_of.get(each.event.data["certificationId"], ()):
            wanted.setdefault((each.learner.pk, template.id), (each, template))
    new = _store_awards({key: each for key, (each, _) in wanted.items()}, now)
    awards = [NewAward(key[0], wanted[key][1], wanted[key][0].cause) for key in new]
    handled.awarded = len(granting.award(awards, now=now))
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


def _templates_of(certification_ids: Iterable[str]) -> dict[str, list[GrantedTemplate]]:
    """Return the templates that certifications give and that are awarded now; at most three statements."""
    rows = CertificationMapping.objects.filter(certification_id__in=certification_ids).order_by("pk")
    mappings = list(rows.values_list("certification_id", "template_id"))
    awardable = granting.awardable({template_id for _, template_id in mappings})
    found: dict[str, list[GrantedTemplate]] = {}
    for certification_id, template_id in mappings:
        if template_id in awardable:
            found.setdefault(certification_id, []).append(awardable[template_id])
    return found


def _store_awards(wanted: dict[tuple[int, int], Received], now: dt.datetime) -> list[tuple[int, int]]:
    """Store which badges are given; return the learners and templates that are new; two statements, or none."""
    made = [
        new_row(
            CertificationAward,
            id=uuid7(),
            learner_id=learner_id,
            template_id=template_id,
            event_source=each.event.source,
            event_id=each.event.id,
            event_time=each.event.time,
            received_at=now,
        )
        for (learner_id, template_id), each in sorted(wanted.items(), key=lambda item: item[0])
    ]
    if not made:
        return []
    insert(made, unique=("learner", "template"))
    stored = CertificationAward.objects.filter(id__in=[award.id for award in made])
    return sorted(stored.order_by().values_list("learner_id", "template_id"))
