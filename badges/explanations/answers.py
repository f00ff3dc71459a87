"""
The facts of an answer to "why did or didn't this person get the badge", as values.

An answer is the same for everybody who may ask for it: the learner, and staff. So it names no other person, and holds
no reason that was written for staff. Values of events are in it, except those that are declared personal.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.utils import translation

from badges.awarding.models import CredentialStatus, UserCredential
from badges.catalog.causes import CauseKind
from badges.catalog.criteria import criteria_of, describe_criteria
from badges.catalog.documents import CRITERIA_KEY
from badges.catalog.models import BadgeRequirement
from badges.catalog.rule_words import OPERATORS, describe_rules, value_text
from badges.common.permissions import may
from badges.conf import config
from badges.explanations.reading import EventEvaluation, Explanation, Hindrance, RequirementExplanation
from badges.history.criteria import CriteriaEvaluation
from badges.history.models import LoggedEvent
from badges.progress.models import BadgeProgress, Fulfillment
from badges.rules import Step, TraceStep, Translations, completion
from badges.rules import missing_text as missing_of_step

# So many events that fit and did not count are told of each requirement, the newest ones.
MOST_UNCOUNTED = 3
MOST_SHOWN_CHARACTERS = 1000  # of a value of an event
PERSONAL = "personal"


class State(StrEnum):
    """Whether the badge is held, or the first reason why not."""

    HELD = "held"
    RETIRED = "retired"
    BLOCKED = "blocked"
    AWARDED_ONCE = "awarded_once"
    ARCHIVED = "archived"
    INACTIVE = "inactive"
    COMPLETE = "complete"
    OPEN = "open"
    BY_PEOPLE_ONLY = "by_people_only"


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """Who was asked about. Each is None when it is not known here; without ``uuid`` there is no learner."""

    uuid: uuid.UUID | None
    lms_user_id: int | None
    username: str | None


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """The template. ``revision`` is the number of its current revision."""

    slug: str
    name: str
    is_active: bool
    archived_at: dt.datetime | None
    award_once: bool
    revision: int | None


@dataclass(frozen=True, slots=True)
class CauseFacts:
    """What caused a decision, and which revision of the template decided it. People are not named."""

    kind: str
    event_source: str
    event_id: str
    event_type: str
    event_time: dt.datetime | None
    template_revision: int | None


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """A credential of the person for the template."""

    id: uuid.UUID
    status: str
    awarded_at: dt.datetime
    valid_until: dt.datetime | None
    ended_at: dt.datetime | None
    cause: CauseFacts
    revoked_at: dt.datetime | None
    revocation: CauseFacts | None
    public_reason: str
    blocked: bool
    block_lifted_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class FulfillmentFacts:
    """A fulfilment, active or past. ``reset_at`` is None while it is active."""

    fulfilled_at: dt.datetime
    cause: CauseFacts
    reset_at: dt.datetime | None
    reset: CauseFacts | None


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """
    A rule, and what an event had at its path: None for nothing, and for a value that is personal.

    ``expected`` is the operator and the value in the reader's language. ``note`` is ``personal``, or says why there was
    nothing to compare, or is empty.
    """

    path: str
    operator: str
    value: Any
    expected: str
    observed: Any
    holds: bool
    note: str


@dataclass(frozen=True, slots=True)
class EventFacts:
    """A stored event, and what the rules of a requirement say of it."""

    source: str
    id: str
    type: str
    time: dt.datetime | None
    holds: bool
    hindrance: Hindrance | None
    rules: Sequence[RuleFacts]


@dataclass(frozen=True, slots=True)
class RequirementFacts:
    """
    A requirement. ``void_until`` and ``reset`` are its last reset by a penalty: facts up to then do not count.

    ``closest`` is the stored event for which the most rules hold, of those for which not all do; None when it is
    fulfilled or there is none. ``uncounted`` are events for which all rules hold now and that did not count.
    ``missing`` belongs to the criteria document. ``problem`` says why the rules cannot be used.
    """

    key: str
    description: str
    event_type: str
    event_title: str
    fulfillment: FulfillmentFacts | None
    past: Sequence[FulfillmentFacts]
    void_until: dt.datetime | None
    reset: CauseFacts | None
    closest: EventFacts | None
    uncounted: Sequence[EventFacts]
    events_read: int
    missing: Sequence[str]
    problem: str


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """Requirements of which one is enough. ``group`` is None for one that stands alone."""

    group: str | None
    fulfilled: bool
    requirements: Sequence[RequirementFacts]


@dataclass(frozen=True, slots=True)
class CriteriaFacts:
    """What the logged events say of the criteria document; as in ``history.criteria.CriteriaEvaluation``."""

    description: str
    satisfied: bool
    earned_at: dt.datetime | None
    missing: Sequence[str]
    events_read: int
    counts_from: dt.datetime | None
    events_before: int
    is_complete: bool
    trace: TraceStep
    event_names: Mapping[str, str] = field(repr=False)

    def trace_as_json(self) -> dict[str, Any]:
        """Return the steps of the evaluation as JSON, in the active language. Values of events are cut."""
        return self._step(self.trace, Translations(translation))

    def _step(self, step: TraceStep, words: Translations) -> dict[str, Any]:
        return {
            "path": step.path,
            "operator": step.operator,
            "operand": step.operand,
            "observed": shown(step.observed),
            "event": self.event_names.get(step.event_id, step.event_id) if step.event_id is not None else None,
            "result": step.result,
            "missing": missing_of_step(step, words),
            "note": step.note,
            "children": [self._step(child, words) for child in step.children],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Why a person did or did not get a badge.

    ``criteria`` is None without a criteria document, or when it cannot be used. ``condition_holds`` is None without a
    badge condition. ``events_read`` is the number of stored events that the rules were asked about, and
    ``is_complete`` says that there are no older ones.
    """

    at: dt.datetime
    state: State
    person: PersonFacts
    template: TemplateFacts
    credentials: Sequence[CredentialFacts]
    fulfilled_groups: int
    total_groups: int
    groups: Sequence[GroupFacts]
    criteria: CriteriaFacts | None
    condition_holds: bool | None
    events_read: int
    is_complete: bool
    has_begun: bool

    @property
    def held(self) -> CredentialFacts | None:
        """The credential by which the badge is held."""
        return next((row for row in self.credentials if row.status == CredentialStatus.AWARDED), None)


def answer_of(explained: Explanation, *, at: dt.datetime) -> Answer:
    """Return the facts of an explanation at a moment. Their texts are in the active language."""
    template, learner = explained.template, explained.learner
    newest_first = sorted(explained.credentials, key=lambda row: (row.awarded_at, row.pk), reverse=True)
    credentials = [_credential(row, at) for row in newest_first]
    revision = template.current_revision
    return Answer(
        at=at,
        state=_state(explained, credentials),
        person=PersonFacts(learner.uuid if learner else None, explained.lms_user_id, explained.username),
        template=TemplateFacts(
            template.slug,
            template.name,
            template.is_active,
            template.archived_at,
            template.award_once,
            revision.number if revision else None,
        ),
        credentials=credentials,
        fulfilled_groups=explained.completion.satisfied,
        total_groups=explained.completion.total,
        groups=_groups(explained),
        criteria=_criteria(explained),
        condition_holds=explained.badge_condition.holds if explained.badge_condition else None,
        events_read=explained.events.number,
        is_complete=not explained.events.is_cut,
        has_begun=explained.has_begun,
    )


def _state(explained: Explanation, credentials: Sequence[CredentialFacts]) -> State:
    template = explained.template
    reasons = (
        (State.HELD, any(row.status == CredentialStatus.AWARDED for row in credentials)),
        (State.RETIRED, explained.is_retired),
        (State.BLOCKED, any(row.blocked for row in credentials)),
        (State.ARCHIVED, template.archived_at is not None),
        (State.INACTIVE, not template.is_active),
        (State.AWARDED_ONCE, template.award_once and bool(credentials)),
        (State.BY_PEOPLE_ONLY, not explained.requirements and explained.badge_condition is None),
        (State.COMPLETE, explained.completion.complete),
    )
    return next((state for state, holds in reasons if holds), State.OPEN)


def is_shown_to_learners(answer: Answer) -> bool:
    """
    Return whether the learner may ask about the template of an answer: it was begun, or their page lists it.

    A template that is inactive, archived or not listed may be a surprise, or a draft.
    """
    is_listed = answer.template.is_active and answer.template.archived_at is None and config.pages["list_templates"]
    return answer.has_begun or bool(is_listed)


def may_explain_everybody(user: Any) -> bool:
    """Return whether somebody may ask about other people: an answer holds what these three tables hold."""
    return all(may(user, "view", model) for model in (BadgeProgress, UserCredential, LoggedEvent))


# --- credentials and causes ------------------------------------------------------------------------------------------


def _credential(row: UserCredential, at: dt.datetime) -> CredentialFacts:
    revision = row.revocation_revision
    return CredentialFacts(
        id=row.pk,
        status=str(row.status_at(at)),
        awarded_at=row.awarded_at,
        valid_until=row.valid_until,
        ended_at=row.ended_at,
        cause=_cause(row, "cause", row.revision.number),
        revoked_at=row.revoked_at,
        revocation=_cause(row, "revocation", revision.number if revision else None) if row.revocation_kind else None,
        public_reason=row.public_reason,
        blocked=row.blocked,
        block_lifted_at=row.block_lifted_at,
    )


def _fulfillment(row: Fulfillment) -> FulfillmentFacts:
    return FulfillmentFacts(
        fulfilled_at=row.fulfilled_at,
        cause=_cause(row, "cause", row.revision.number),
        reset_at=row.reset_at,
        reset=_cause(row, "reset", None) if row.reset_kind else None,
    )


def _cause(row: Any, prefix: str, revision: int | None) -> CauseFacts:
    """Return a cause. What people and other code did has no event; its columns name the run of staff, if any."""
    kind = getattr(row, f"{prefix}_kind")
    is_event = kind in (CauseKind.EVENT, CauseKind.CONDITION)
    return CauseFacts(
        kind=str(kind),
        event_source=(getattr(row, f"{prefix}_event_source") or "") if is_event else "",
        event_id=(getattr(row, f"{prefix}_event_id") or "") if is_event else "",
        event_type=(getattr(row, f"{prefix}_event_type") or "") if is_event else "",
        event_time=getattr(row, f"{prefix}_event_time"),
        template_revision=revision,
    )


# --- requirements ----------------------------------------------------------------------------------------------------


def _groups(explained: Explanation) -> list[GroupFacts]:
    by_id = {each.requirement.pk: each for each in explained.requirements}
    # With nothing fulfilled, every group is open. So this names all groups.
    named = completion(((pk, each.requirement.group) for pk, each in by_id.items()), frozenset()).open
    found = []
    for group in named:
        members = [_requirement(by_id[pk], explained) for pk in group.requirements]  # type: ignore[index]
        found.append(GroupFacts(group.group, any(member.fulfillment for member in members), members))
    return found


def _requirement(each: RequirementExplanation, explained: Explanation) -> RequirementFacts:
    row = each.requirement
    active = next((met for met in each.fulfillments if met.active_key), None)
    is_document = row.key == CRITERIA_KEY
    problems = [one.problem for one in each.evaluations if one.problem and not one.event_id]
    causes = {(met.cause_event_source, met.cause_event_id) for met in each.fulfillments}
    fitting = [one for one in each.evaluations if one.result and (one.event_source, one.event_id) not in causes]
    reset = each.reset
    return RequirementFacts(
        key=row.key,
        description=_description(row, explained),
        event_type=row.event_type,
        event_title=explained.titles.get(row.event_type, row.event_type),
        fulfillment=_fulfillment(active) if active else None,
        past=[_fulfillment(met) for met in each.fulfillments if not met.active_key],
        void_until=reset.void_until if reset else None,
        reset=CauseFacts(
            str(reset.kind),
            reset.event_source,
            reset.event_id,
            reset.event_type,
            reset.void_until,
            reset.revision.number,
        )
        if reset
        else None,
        closest=None if active else _closest(each.evaluations),
        uncounted=[] if active else [_event(one) for one in _newest_first(fitting) if one.hindrance][:MOST_UNCOUNTED],
        events_read=sum(1 for one in each.evaluations if one.event_id),
        missing=_missing(explained.criteria) if is_document and not active else [],
        problem=explained.criteria_problem if is_document else "".join(problems[:1]),
    )


def _description(row: BadgeRequirement, explained: Explanation) -> str:
    def quoted(event_type: str) -> str:
        return f"“{explained.titles.get(event_type, event_type)}”"

    if row.key == CRITERIA_KEY:
        document = criteria_of(explained.template)
        return describe_criteria(document, quoted) if document is not None else ""
    return row.description or describe_rules(row.rules.all(), quoted(row.event_type))


def _closest(evaluations: Iterable[EventEvaluation]) -> EventFacts | None:
    """Return the event for which the most rules hold, of those for which not all do; the newest of several."""
    near = [one for one in _newest_first(evaluations) if not one.result and not one.problem]
    best = max(near, key=lambda one: sum(step.result for step in one.steps), default=None)
    return _event(best) if best else None


def _newest_first(evaluations: Iterable[EventEvaluation]) -> list[EventEvaluation]:
    earliest = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(evaluations, key=lambda one: one.event_time or earliest, reverse=True)


def _event(one: EventEvaluation) -> EventFacts:
    return EventFacts(
        source=one.event_source,
        id=one.event_id,
        type=one.event_type,
        time=one.event_time,
        holds=one.result,
        hindrance=one.hindrance,
        rules=[_rule(step, is_personal=step.path in one.personal) for step in one.steps],
    )


def _rule(step: Step, *, is_personal: bool) -> RuleFacts:
    return RuleFacts(
        path=step.path,
        operator=step.operator,
        value=step.operand,
        expected=f"{OPERATORS.get(step.operator, step.operator)} {value_text(step.operand)}",
        observed=None if is_personal else shown(step.observed),
        holds=step.result,
        note=PERSONAL if is_personal else step.note,
    )


# --- the criteria document -------------------------------------------------------------------------------------------


def _criteria(explained: Explanation) -> CriteriaFacts | None:
    evaluation = explained.criteria
    if evaluation is None:
        return None
    document = next((row for row in explained.requirements if row.requirement.key == CRITERIA_KEY), None)
    return CriteriaFacts(
        description=_description(document.requirement, explained) if document else "",
        satisfied=evaluation.result.satisfied,
        earned_at=evaluation.earned.time if evaluation.earned else None,
        missing=_missing(evaluation),
        events_read=evaluation.number,
        counts_from=evaluation.counts_from,
        events_before=evaluation.arrived_before,
        is_complete=not evaluation.history.is_cut,
        trace=evaluation.result.trace,
        event_names=evaluation.history.names,
    )


def _missing(evaluation: CriteriaEvaluation | None) -> list[str]:
    return evaluation.result.missing(Translations(translation)) if evaluation else []


def shown(observed: Any) -> Any:
    """Return a value of an event as JSON; as shortened text when it is long, and an ellipsis when it is no JSON."""
    try:
        text = json.dumps(observed, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "…"
    return observed if len(text) <= MOST_SHOWN_CHARACTERS else text[: MOST_SHOWN_CHARACTERS - 1] + "…"
