"""
What is stored of a learner and a badge: the requirements, their fulfilments, and the rules' results for stored events.

Reads the event log and the inbox, and evaluates every rule again. Decides and writes nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from django.db.models import Prefetch
from django.utils import translation
from django.utils.translation import gettext as _

from badges.awarding.models import CredentialStatus, UserCredential
from badges.catalog import event_types
from badges.catalog.criteria import compile_criteria, criteria_of
from badges.catalog.documents import CRITERIA_KEY, Document
from badges.catalog.event_type_titles import titles_of
from badges.catalog.learner_paths import ExternalIdentity
from badges.catalog.models import BadgeRequirement, BadgeTemplate, DataRule, TemplateRevision
from badges.catalog.queries import expiry_of
from badges.engagement.activities import stats_of
from badges.exceptions import EventError
from badges.history.criteria import CriteriaEvaluation, evaluate, logged_history
from badges.history.event_log import events_of, person_key
from badges.history.models import LoggedEvent
from badges.intake import inbox, retired
from badges.intake.events import parse_event
from badges.intake.learners import names_of
from badges.intake.models import InboxMessage, InboxState, Learner
from badges.progress import resets
from badges.progress.models import BadgeProgress, Fulfillment, RequirementReset
from badges.progress.reading import RequirementReport, criteria_void_until, report, void_until
from badges.rules import (
    Completion,
    Criteria,
    CriteriaError,
    EngagementStats,
    RuleError,
    RuleSet,
    Shape,
    Step,
    Translations,
    badge_condition_slugs,
    compile_rule,
    completion,
    event_digest,
    meets_badge_condition,
)
from badges.rules import DataRule as CompiledRule

K = TypeVar("K", bound=Hashable)

# So many logged events are evaluated, and so many messages of the inbox, the newest ones.
MAX_EVENTS = 200
MAX_MESSAGES = 50


class Hindrance(StrEnum):
    """Why an event may not have counted although its rules hold now."""

    PENDING = "pending"
    DEAD = "dead"
    EARLIER_REVISION = "earlier_revision"
    VOID = "void"


@dataclass(frozen=True)
class EventEvaluation:
    """
    One stored event, evaluated by the rules of one requirement.

    ``steps`` has the result of each rule. ``personal`` are the paths of those whose value is personal data: it is not
    shown, and the event log does not have it. ``problem`` says why the rules cannot be evaluated, and is empty
    otherwise. ``hindrance`` says why an event may not have counted although its rules hold now: it is pending, it is a
    dead letter, it was decided before the template had its present revision, or a later penalty made it void. ``note``
    says the same in words; of a dead letter it has the reason, which is for staff.
    """

    event_source: str
    event_id: str
    result: bool
    steps: Sequence[Step] = ()
    problem: str = ""
    note: str = ""
    hindrance: Hindrance | None = None
    event_type: str = ""
    event_time: dt.datetime | None = None
    personal: frozenset[str] = frozenset()


@dataclass(frozen=True)
class EventsRead:
    """How many stored events were evaluated. ``is_cut`` says that there are older ones, which were not."""

    number: int = 0
    is_cut: bool = False


@dataclass(frozen=True)
class RequirementExplanation:
    """
    A requirement with its fulfilments, active and past, each with its cause, and the stored events of its type.

    ``reset`` is its last reset by a penalty: facts up to its ``void_until`` do not count.
    """

    requirement: BadgeRequirement
    fulfillments: Sequence[Fulfillment]
    evaluations: Sequence[EventEvaluation]
    reset: RequirementReset | None = None


@dataclass(frozen=True)
class BadgeConditionExplanation:
    """Whether the badge condition of a template holds for a learner's engagement figures at the moment."""

    holds: bool
    stats: EngagementStats


@dataclass(frozen=True)
class Explanation:
    """
    All that is known about a learner and a template.

    ``learner`` is None for a person without a learner here. ``credentials`` are those of every status, with their
    causes; ``held`` is the one by which the badge is held at the moment that was asked for, or None. ``expiry`` is how
    long the badge of the template holds, as in packs; None for ever.

    ``completion`` counts the groups of requirements. ``observed`` values in steps come from events and may be personal:
    show them only to people who may see the learner, and do not log them. ``events`` says how many were evaluated:
    those of the event log, and those in the inbox whose payload was not deleted yet. ``titles`` are what readers call
    the event types. ``is_retired`` is set for a person who was retired, and ``has_begun`` when there is any fulfilment
    or credential.

    ``criteria`` is what the logged events and the figures say of the criteria document, None without one. As in
    decisions, the events are those that arrived since the document was saved (all of them, if the template has never
    been active), without those up to the last reset of the document. ``criteria_problem`` says why the document cannot
    be used, and is empty otherwise.
    """

    learner: Learner | None
    template: BadgeTemplate
    credentials: Sequence[UserCredential]
    completion: Completion
    requirements: Sequence[RequirementExplanation]
    criteria: CriteriaEvaluation | None = None
    criteria_problem: str = ""
    badge_condition: BadgeConditionExplanation | None = None
    held: UserCredential | None = None
    expiry: Document | None = None
    lms_user_id: int | None = None
    username: str | None = None
    is_retired: bool = False
    has_begun: bool = False
    events: EventsRead = EventsRead()
    titles: Mapping[str, str] = field(default_factory=dict)
    at: dt.datetime | None = None


def explain(
    learner: Learner | None,
    template: BadgeTemplate,
    *,
    lms_user_id: int | None = None,
    account: Any = None,
    at: dt.datetime,
) -> Explanation:
    """
    Return why a learner did or did not get a template's badge. ``at`` is the moment at which criteria are asked.

    ``learner`` is None for a person about whom no event met a requirement. There may be stored near misses of such a
    person, found by ``lms_user_id`` or by the username of the ``account`` of the host. The number of statements does
    not depend on how much is stored.
    """
    names: Sequence[str | ExternalIdentity] = ()
    if learner is not None:
        lms_user_id, account = learner.lms_user_id, learner.user
        names = names_of(learner.pk, learner.user_id)
    elif account is not None:
        names = [account.get_username()]
    rules = Prefetch("rules", queryset=DataRule.objects.order_by("id"))
    live = list(template.requirements.filter(archived_at=None).order_by("id").prefetch_related(rules))
    met = _fulfillments(learner, template)
    types = {requirement.event_type for requirement in live} - {""}
    rows, events = _stored_events(lms_user_id, learner, names, types)
    newest = template.revisions.first()
    reset = {row.requirement_id: row for row in _resets_of(lms_user_id, learner, live)}
    requirements = [
        RequirementExplanation(
            requirement,
            met.get(requirement.pk, []),
            _evaluate_all(requirement, rows, newest, reset.get(requirement.pk)),
            reset.get(requirement.pk),
        )
        for requirement in live
    ]
    active = {pk for pk, fulfillments in met.items() if any(row.active_key for row in fulfillments)}
    related = ("revision", "revocation_revision")
    credentials = UserCredential.objects.filter(learner=learner, template=template).select_related(*related)
    owned = list(credentials) if learner else []
    counts_from = next((row.counts_from for row in live if row.key == CRITERIA_KEY), None)
    document = next((row.pk for row in live if row.key == CRITERIA_KEY), None)
    void = void_until(met.get(document, []) if document else (), at=at, reset=reset.get(document) if document else None)
    evaluation, problem = _evaluate_criteria(template, lms_user_id, learner, at, counts_from, void)
    return Explanation(
        learner=learner,
        template=template,
        credentials=owned,
        completion=completion(((requirement.pk, requirement.group) for requirement in live), active),
        requirements=requirements,
        criteria=evaluation,
        criteria_problem=problem,
        badge_condition=_evaluate_condition(template.slug, learner, at) if not live else None,
        held=next((each for each in owned if each.status_at(at) == CredentialStatus.AWARDED), None),
        expiry=expiry_of(template),
        lms_user_id=lms_user_id,
        username=account.get_username() if account else None,
        is_retired=learner.is_anonymous if learner else _is_retired(lms_user_id, account),
        has_begun=bool(met or owned),
        events=events,
        titles=titles_of(types | _types_of(evaluation)),
        at=at,
    )


def is_logged(lms_user_id: int | None) -> bool:
    """Return whether any event of a person is logged here; one statement, or none."""
    key = person_key(lms_user_id)
    return key is not None and LoggedEvent.objects.filter(person=key).exists()


def _is_retired(lms_user_id: int | None, account: Any) -> bool:
    digests: dict[str, Any] = {}
    if lms_user_id is not None:
        digests |= retired.digests_of([lms_user_id])
    if account is not None:
        digests |= retired.account_digests([account.pk])
    return bool(retired.among(digests))


def _types_of(evaluation: CriteriaEvaluation | None) -> set[str]:
    return {name for name in evaluation.criteria.event_types if name is not None} if evaluation else set()


def _evaluate_condition(slug: str, learner: Learner | None, at: dt.datetime) -> BadgeConditionExplanation | None:
    if slug not in badge_condition_slugs():
        return None
    stats = stats_of([learner.pk], now=at)[learner.pk] if learner else EngagementStats()
    return BadgeConditionExplanation(meets_badge_condition(slug, stats), stats)


def _evaluate_criteria(
    template: BadgeTemplate,
    lms_user_id: int | None,
    learner: Learner | None,
    at: dt.datetime,
    counts_from: dt.datetime | None,
    void: dt.datetime | None,
) -> tuple[CriteriaEvaluation | None, str]:
    document = criteria_of(template)
    if document is None:
        return None, ""
    try:
        criteria = compile_criteria(document, event_types.configured())
    except CriteriaError as error:
        return None, str(error)
    history = logged_history(lms_user_id, learner.pk if learner else None, [criteria], until=at)
    return evaluate(criteria, history, at=at, counts_from=counts_from, void_until=void), ""


def missing_criteria(rows: Iterable[BadgeProgress], *, at: dt.datetime) -> dict[uuid.UUID, list[str]]:
    """
    Return what is missing of the criteria documents that are not fulfilled, by the id of the progress.

    ``rows`` come from ``with_reports``. The texts are in the reader's language and may hold values of events. At most
    two statements for each learner, besides those of the figures, and two for all.
    """
    by_learner: dict[Learner, list[tuple[uuid.UUID, RequirementReport]]] = {}
    open_rows: list[BadgeProgress] = []
    for progress in rows:
        reported = report(progress).open_criteria
        if reported is not None:
            by_learner.setdefault(progress.learner, []).append((progress.pk, reported))
            open_rows.append(progress)
    found: dict[uuid.UUID, list[str]] = {}
    void = documents_void_until(open_rows, at=at)
    for learner, asked in by_learner.items():
        found |= missing_of_documents(asked, lms_user_id=learner.lms_user_id, learner_id=learner.pk, void=void, at=at)
    return found


def documents_void_until(rows: Sequence[BadgeProgress], *, at: dt.datetime) -> dict[uuid.UUID, dt.datetime]:
    """
    Return up to when events are void for the criteria documents of rows at a moment, by the id of the row.

    ``rows`` come from ``with_reports``. At most two statements, none without rows.
    """
    void = criteria_void_until([row.pk for row in rows], at=at) if rows else {}
    for pk, last in last_resets(rows).items():
        for reset in last.values():
            if reset.requirement.key == CRITERIA_KEY and reset.void_until <= at:
                void[pk] = max(reset.void_until, void.get(pk, reset.void_until))
    return void


def missing_of_documents(
    documents: Iterable[tuple[K, RequirementReport]],
    *,
    lms_user_id: int | None,
    learner_id: int | None,
    void: Mapping[K, dt.datetime],
    at: dt.datetime,
) -> dict[K, list[str]]:
    """
    Return what is missing of criteria documents that one person has not fulfilled, by the keys of the documents.

    A person without a learner has no figures, and may have logged events by the LMS user id. ``void`` says up to when
    events are void for a document. Documents that cannot be used are left out. The texts are in the reader's language
    and may hold values of events. At most two statements, besides those of the figures.
    """
    asked: list[tuple[K, Criteria, dt.datetime | None]] = []
    for key, reported in documents:
        with suppress(CriteriaError):
            if reported.criteria is not None:
                criteria = compile_criteria(reported.criteria, event_types.configured())
                asked.append((key, criteria, reported.requirement.counts_from))
    if not asked:
        return {}
    history = logged_history(lms_user_id, learner_id, [criteria for _, criteria, _ in asked], until=at)
    words = Translations(translation)
    return {
        key: criteria.evaluate(
            history.counting_from(counts_from, void_until=void.get(key)), now=at, figures=history.figures
        ).missing(words)
        for key, criteria, counts_from in asked
    }


def last_resets(rows: Iterable[BadgeProgress]) -> dict[uuid.UUID, dict[int, RequirementReset]]:
    """
    Return the last resets by penalties, by the id of the progress and the id of the requirement.

    ``rows`` come from ``with_reports``. One statement, none where no penalty names or has named a requirement.
    """
    ids: dict[uuid.UUID, set[int]] = {}
    progress_of: dict[int, list[uuid.UUID]] = {}
    for progress in rows:
        live: Iterable[BadgeRequirement] = progress.template.live_requirements  # type: ignore[attr-defined]
        if wanted := {requirement.pk for requirement in live if requirement.may_be_reset}:
            ids[progress.pk] = wanted
            for person in _person_keys(progress.learner.lms_user_id, progress.learner):
                progress_of.setdefault(person, []).append(progress.pk)
    found: dict[uuid.UUID, dict[int, RequirementReset]] = {}
    for reset in resets.of_people(progress_of, set().union(*ids.values())):
        for pk in progress_of[reset.person]:
            known = found.setdefault(pk, {}).get(reset.requirement_id)
            if reset.requirement_id in ids[pk] and (known is None or known.void_until < reset.void_until):
                found[pk][reset.requirement_id] = reset
    return found


def _resets_of(
    lms_user_id: int | None, learner: Learner | None, requirements: Iterable[BadgeRequirement]
) -> list[RequirementReset]:
    ids = [requirement.pk for requirement in requirements if requirement.may_be_reset]
    found = resets.of_people(_person_keys(lms_user_id, learner), ids)
    return sorted(found, key=lambda reset: reset.void_until)


def _person_keys(lms_user_id: int | None, learner: Learner | None) -> list[int]:
    keys = (person_key(lms_user_id), person_key(None, learner.pk if learner else None))
    return [key for key in keys if key is not None]


def _fulfillments(learner: Learner | None, template: BadgeTemplate) -> dict[int, list[Fulfillment]]:
    found: dict[int, list[Fulfillment]] = {}
    if learner is not None:
        rows = Fulfillment.objects.filter(progress__learner=learner, progress__template=template)
        for row in rows.select_related("revision").order_by("fulfilled_at"):
            found.setdefault(row.requirement_id, []).append(row)
    return found


@dataclass(frozen=True)
class _StoredEvent:
    """
    An event of the log or of the inbox.

    ``data`` is what rules see, None if the event cannot be read, which ``problem`` then says. ``is_complete`` is not
    set for logged events, which lack what is personal.
    """

    type: str
    source: str
    id: str
    time: dt.datetime | None
    decided_at: dt.datetime | None
    data: Any
    is_complete: bool
    problem: str = ""
    message: InboxMessage | None = None


def _stored_events(
    lms_user_id: int | None, learner: Learner | None, names: Sequence[str | ExternalIdentity], types: set[str]
) -> tuple[list[_StoredEvent], EventsRead]:
    """Return the newest stored events of a person of some types, each once; at most three statements."""
    if not types:
        return [], EventsRead()
    logged: dict[uuid.UUID, LoggedEvent] = {}
    for key in _person_keys(lms_user_id, learner):
        logged |= {row.digest: row for row in events_of(key, types, limit=MAX_EVENTS + 1)}
    about = inbox.rows_about(lms_user_id, names).filter(event_type__in=types)
    messages = list(about.order_by("-received_at", "-id")[: MAX_MESSAGES + 1])
    found: dict[uuid.UUID, _StoredEvent] = {}
    for message in messages[:MAX_MESSAGES]:
        digest = event_digest(message.source, message.event_id)
        if message.payload is not None:
            found[digest] = _of_inbox(message)
        elif digest in logged:
            found[digest] = _of_log(logged[digest], message)
    newest = sorted(logged.values(), key=lambda row: (row.occurred_at, row.digest), reverse=True)[:MAX_EVENTS]
    found |= {row.digest: _of_log(row, None) for row in newest if row.digest not in found}
    is_cut = len(logged) > MAX_EVENTS or len(messages) > MAX_MESSAGES
    return list(found.values()), EventsRead(len(found), is_cut)


def _of_inbox(row: InboxMessage) -> _StoredEvent:
    time, data, problem = row.event_time, None, ""
    try:
        event = parse_event(row.payload or "", received_from=row.received_from, is_stored=bool(row.source))
        time, data = event.time, event_types.get(event.type).subject(event.data)
    except EventError as error:
        problem = str(error)
    return _StoredEvent(
        row.event_type, row.source, row.event_id, time, row.processed_at, data, True, problem=problem, message=row
    )


def _of_log(row: LoggedEvent, message: InboxMessage | None) -> _StoredEvent:
    definition, loaded = event_types.configured().get(row.event_type), row.loaded()
    data = definition.subject(loaded) if definition and isinstance(loaded, dict) else None
    return _StoredEvent(
        row.event_type, row.event_source, row.event_id, row.occurred_at, row.received_at, data, False, message=message
    )


def _evaluate_all(
    requirement: BadgeRequirement,
    rows: Sequence[_StoredEvent],
    newest: TemplateRevision | None,
    reset: RequirementReset | None,
) -> list[EventEvaluation]:
    if requirement.key == CRITERIA_KEY:
        return []  # it is no rule about a single event
    try:
        definition = event_types.get(requirement.event_type)
        rules = RuleSet(_compiled(requirement, definition))
    except (EventError, RuleError) as error:
        return [EventEvaluation("", "", False, problem=str(error))]
    shape = definition.subject_shape
    personal = frozenset(rule.path for rule in requirement.rules.all() if _is_personal(shape, rule.path))
    of_type = [row for row in rows if row.type == requirement.event_type]
    return [_evaluate(row, rules, personal, newest, reset) for row in of_type]


def _compiled(requirement: BadgeRequirement, definition: event_types.EventDefinition) -> list[CompiledRule]:
    stored = requirement.rules.all()
    return [compile_rule(definition.subject_shape, rule.path, rule.operator, rule.value) for rule in stored]


def _is_personal(shape: Shape, path: str) -> bool:
    """Return whether the value at a path is declared personal, or something above it is."""
    found = shape.find(path)
    here: Shape | None = shape
    for key in found[0] if found else ():
        here = here.fields.get(key) if here is not None else None
        if here is not None and here.personal:
            return True
    return False


def _evaluate(
    row: _StoredEvent,
    rules: RuleSet,
    personal: frozenset[str],
    newest: TemplateRevision | None,
    reset: RequirementReset | None,
) -> EventEvaluation:
    hindrance, note = _hindrance(row, newest, reset)
    steps = rules.explain(row.data) if not row.problem else ()
    # The log does not have what is personal, so such a rule says nothing about a logged event.
    asked = [step for step in steps if row.is_complete or step.path not in personal]
    return EventEvaluation(
        row.source,
        row.id,
        not row.problem and all(step.result for step in asked),
        steps,
        problem=row.problem,
        note=note,
        hindrance=hindrance,
        event_type=row.type,
        event_time=row.time,
        personal=personal,
    )


def _hindrance(
    row: _StoredEvent, newest: TemplateRevision | None, reset: RequirementReset | None
) -> tuple[Hindrance | None, str]:
    """Return why an event may not have counted, and the same in words."""
    message = row.message
    if message is not None and message.state == InboxState.PENDING:
        return Hindrance.PENDING, _("The event waits to be decided.")
    if message is not None and message.state == InboxState.DEAD:
        return Hindrance.DEAD, _("The event is a dead letter: %(reason)s") % {"reason": message.reason}
    if newest is not None and row.decided_at is not None and row.decided_at < newest.created_at:
        text = _("The event was decided before revision %(number)s of the template.")
        return Hindrance.EARLIER_REVISION, text % {"number": newest.number}
    if reset is not None and row.time is not None and row.time <= reset.void_until:
        text = _("The event is void: the requirement was reset by the event %(id)s at %(time)s.")
        return Hindrance.VOID, text % {"id": reset.event_id, "time": reset.void_until.isoformat()}
    return None, ""
