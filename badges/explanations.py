"""
Why somebody did or did not get a badge: what is demanded, what met it, and what the events on record say to each rule.

Reads what the rooms stored and asks the rules again, every one of them; decides and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from badges.awarding.models import UserCredential
from badges.catalog import event_types
from badges.catalog.models import BadgeRequirement, BadgeTemplate, DataRule, TemplateRevision
from badges.exceptions import EventError
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage, InboxState, Learner
from badges.progress.models import Fulfillment
from badges.rules import Completion, RuleError, RuleSet, Step, compile_rule, completion
from badges.rules import DataRule as CompiledRule

# The newest events that are asked; older ones are counted by nobody's eyes.
EVENTS = 50


@dataclass(frozen=True)
class Answer:
    """
    What one event on record says to one requirement: each rule's step, or ``problem`` when it cannot be asked.

    ``note`` says why an event need not have counted although its rules hold now: it waits, it is a dead letter, or it
    was decided before the template was as it is today.
    """

    event_id: str
    result: bool
    steps: Sequence[Step] = ()
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class DemandExplained:
    """A requirement with its fulfilments, active and past, each with its cause, and what the events say to it."""

    requirement: BadgeRequirement
    fulfillments: Sequence[Fulfillment]
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Explanation:
    """
    All that is known about a learner and a template.

    ``credentials`` are those held now or before, with their causes. ``observed`` values in steps are the event's own
    and may be personal: show them to whoever may see the learner, and log none. Events whose payload expired, or that
    no rule cared about and ``keep_unmatched`` did not keep, are not there.
    """

    learner: Learner | None
    template: BadgeTemplate
    credentials: Sequence[UserCredential]
    completion: Completion
    demands: Sequence[DemandExplained]


def explain(learner: Learner | None, template: BadgeTemplate, *, lms_user_id: int | None = None) -> Explanation:
    """
    Explain a template's badge for a learner; None is somebody to whom no event ever mattered.

    Of those too there may be near misses on record, by their LMS user id.
    """
    if learner is not None:
        lms_user_id = learner.lms_user_id
    requirements = list(template.requirements.filter(archived_at=None).order_by("id"))
    met = _fulfillments(learner, template)
    rows = list(_events(lms_user_id, {requirement.event_type for requirement in requirements}))
    newest = template.revisions.first()
    demands = [
        DemandExplained(requirement, met.get(requirement.pk, []), _answers(requirement, rows, newest))
        for requirement in requirements
    ]
    active = {pk for pk, rows_ in met.items() if any(row.active_key for row in rows_)}
    credentials = UserCredential.objects.filter(learner=learner, template=template) if learner else []
    return Explanation(
        learner=learner,
        template=template,
        credentials=list(credentials),
        completion=completion(((requirement.pk, requirement.group) for requirement in requirements), active),
        demands=demands,
    )


def _fulfillments(learner: Learner | None, template: BadgeTemplate) -> dict[int, list[Fulfillment]]:
    found: dict[int, list[Fulfillment]] = {}
    if learner is not None:
        rows = Fulfillment.objects.filter(progress__learner=learner, progress__template=template)
        for row in rows.select_related("revision").order_by("fulfilled_at"):
            found.setdefault(row.requirement_id, []).append(row)
    return found


def _events(lms_user_id: int | None, types: set[str]) -> QuerySet[InboxMessage]:
    if lms_user_id is None:
        return InboxMessage.objects.none()
    rows = InboxMessage.objects.filter(lms_user_id=lms_user_id, event_type__in=types, payload__isnull=False)
    return rows.order_by("-received_at", "-id")[:EVENTS]


def _answers(
    requirement: BadgeRequirement, rows: Sequence[InboxMessage], newest: TemplateRevision | None
) -> list[Answer]:
    try:
        definition = event_types.get(requirement.event_type)
        rules = RuleSet(_compiled(requirement, definition))
    except (EventError, RuleError) as error:
        return [Answer("", False, problem=str(error))]
    own = [row for row in rows if row.event_type == requirement.event_type]
    return [_answer(row, definition, rules, _note(row, newest)) for row in own]


def _compiled(requirement: BadgeRequirement, definition: event_types.EventDefinition) -> list[CompiledRule]:
    stored = DataRule.objects.filter(requirement=requirement).order_by("id")
    return [compile_rule(definition.subject_shape, rule.path, rule.operator, rule.value) for rule in stored]


def _note(row: InboxMessage, newest: TemplateRevision | None) -> str:
    if row.state == InboxState.PENDING:
        return _("The event waits to be decided.")
    if row.state == InboxState.DEAD:
        return _("The event is a dead letter: %(reason)s") % {"reason": row.reason}
    if newest is not None and row.processed_at is not None and row.processed_at < newest.created_at:
        return _("The event was decided before revision %(number)s of the template.") % {"number": newest.number}
    return ""


def _answer(row: InboxMessage, definition: event_types.EventDefinition, rules: RuleSet, note: str) -> Answer:
    try:
        event = parse_event(row.payload or "", source=row.source)
    except EventError as error:
        return Answer(row.event_id, False, problem=str(error), note=note)
    steps = rules.explain(definition.subject(event.data))
    return Answer(row.event_id, all(step.result for step in steps), steps, note=note)
