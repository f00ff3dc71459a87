"""
Activities of learners: recorded, and the badges awarded that they earn.

A request brings one activity, and its answer names the new badges. So everything happens in one transaction: the
activity, the figures, the awards and their outbox messages.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from badges.catalog import event_types, snapshot
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.documents import Document
from badges.catalog.event_types import EventDefinition
from badges.catalog.interests import CompiledTemplate, CompileRules, HistoryEvent, Interest
from badges.catalog.snapshot import Snapshot
from badges.conf import config
from badges.engagement.activities import NewActivity, record
from badges.engagement.models import KIND_LENGTH
from badges.granting import NewAward, award, with_locked_learner
from badges.intake import checks
from badges.intake.models import Learner
from badges.pipeline.criteria import Question, ask_now
from badges.pipeline.learner_progress import load_progress
from badges.pipeline.steps import Step
from badges.rules import EngagementStats, RuleSet, meets_badge_condition


@dataclass(frozen=True, slots=True)
class RecordedActivity:
    """
    What an activity gave, and the figures of its learner after it.

    ``xp_gained`` are the XP of this activity, also when it was known before. ``is_new`` tells whether it was not.
    ``new_badges`` are the slugs of the templates that it earned.
    """

    xp_gained: int
    stats: EngagementStats
    is_new: bool
    new_badges: Sequence[str]


@dataclass(frozen=True, slots=True)
class ActivityData:
    """An activity whose learner may not be there yet. ``badges.engagement.activities.NewActivity`` says more."""

    kind: str
    source: str
    event_id: str
    occurred_at: dt.datetime
    score: float | None = None
    cards: int | None = None

    def of(self, learner: Learner) -> NewActivity:
        """Return the activity of a learner."""
        return NewActivity(
            learner.pk, self.kind, self.source, self.event_id, self.occurred_at, score=self.score, cards=self.cards
        )


def record_activity(
    learner: Learner | Callable[[], Learner], data: ActivityData, *, time_zone: str = "", now: dt.datetime
) -> RecordedActivity:
    """
    Record an activity, award what it earns, and return what it gave.

    An activity that is known already changes nothing, whatever else the request says. ``learner`` may be a function
    that creates the learner. ``time_zone`` is the IANA name of the zone in which the learner's days begin from now on;
    empty: as before. Raises UnknownPersonError when the person was retired.
    """

    catalog = snapshot.current()

    def work(found: Learner) -> RecordedActivity:
        activity = data.of(found)
        recorded = record([activity], now=now, time_zones={found.pk: time_zone} if time_zone else None)
        stats, xp = recorded.stats[found.pk], recorded.xp[activity.key]
        if not recorded.new:
            return RecordedActivity(xp, stats, is_new=False, new_badges=())
        earned = list(awards_by_condition(catalog.by_condition, {found.pk: stats}, {found.pk: activity}))
        if catalog.with_figures:
            earned += _awards_by_criteria(catalog, found, activity, now)
        slug_of = {each.template.id: each.template.slug for each in earned}
        awarded = [slug_of[credential.template_id] for credential in award(earned, now=now)]
        return RecordedActivity(xp, stats, is_new=True, new_badges=awarded)

    return with_locked_learner(learner, work)


def awards_by_condition(
    templates: Mapping[str, CompiledTemplate],
    stats: Mapping[int, EngagementStats],
    activities: Mapping[int, NewActivity],
) -> Iterator[NewAward]:
    """
    Yield the awards of all badge conditions that hold for learners, also of badges that a learner has already.

    ``templates`` are those that conditions give, by slug. ``stats`` and ``activities`` are the figures of the learners,
    and the activities that are the causes, by the id of the learner.
    """
    for learner_id, figures in sorted(stats.items()):
        for slug, template in sorted(templates.items()):
            if meets_badge_condition(slug, figures):
                yield NewAward(learner_id, template, cause_of(activities[learner_id]))


def cause_of(activity: NewActivity, kind: CauseKind = CauseKind.CONDITION) -> Cause:
    """Return an activity as the cause of a decision."""
    return Cause(
        kind,
        event_source=activity.source,
        event_id=activity.event_id,
        event_type=activity.kind,
        event_time=activity.occurred_at,
    )


def _awards_by_criteria(catalog: Snapshot, learner: Learner, activity: NewActivity, now: dt.datetime) -> list[NewAward]:
    """Ask the documents that read figures, and return the awards of what is complete now."""
    progress = load_progress((learner, template) for template in catalog.with_figures)
    unfinished = checks.unfinished(progress)
    cause = cause_of(activity, CauseKind.EVENT)
    questions = [
        # What is unfinished is asked, too. Otherwise the next check would be written without it.
        Question(found, min(now, unfinished.get(key, now)), figures_cause=cause)
        for key, found in progress.items()
        if found.template.criteria_id not in found.state.fulfilled
    ]
    return ask_now(questions, catalog.definitions, now=now, up_to=now - checks.ARRIVAL) if questions else []


# --- events of the bus -----------------------------------------------------------------------------------------------


def kind_of_event(event_type: str) -> str | None:
    """Return as which kind of activity events of a type count; None if they are none, or if the setting is wrong."""
    kinds = config.engagement["events"]
    kind = kinds.get(event_type) if isinstance(kinds, dict) else None
    return kind if isinstance(kind, str) and 0 < len(kind) <= KIND_LENGTH else None


@dataclass(slots=True, eq=False)
class ActivityEvent(Interest):
    """An event of a type that the settings take for an activity of a kind."""

    activity: str

    @classmethod
    def of_no_template(cls, definitions: Mapping[str, EventDefinition]) -> Iterator[ActivityEvent]:
        """Yield the types that the settings name."""
        for event_type in definitions:
            if kind := kind_of_event(event_type):
                yield cls(event_type, RuleSet(), None, kind)


@dataclass(slots=True, eq=False)
class FigureEvent(HistoryEvent):
    """The same for a template whose criteria document reads engagement figures: the document has to be asked."""

    @classmethod
    def of_template(
        cls, document: Document, template: CompiledTemplate, compile_rules: CompileRules
    ) -> Iterator[FigureEvent]:
        """Yield the types that the settings name, if the document reads figures."""
        if template.criteria is not None and template.criteria.figures:
            for event_type in event_types.configured():
                if kind_of_event(event_type):
                    yield cls(event_type, RuleSet(), template)


class RecordActivities(Step):
    """
    Records the activities of a batch, before criteria documents read the figures. Then awards by badge conditions.

    Of several activities of one learner, the latest is the cause.
    """

    kind = ActivityEvent

    @classmethod
    def is_used(cls) -> bool:
        return bool(config.engagement["events"])

    def load(self) -> None:
        """Write the activities; at most five statements, none without activities."""
        self._causes: dict[int, NewActivity] = {}
        self._stats: Mapping[int, EngagementStats] = {}
        found = list(self._activities())
        if not found:
            return
        recorded = record(found, now=self.work.now)
        for activity in sorted(recorded.new, key=lambda each: each.occurred_at):
            self._causes[activity.learner_id] = activity
            self.work.figures_changed_by[activity.learner_id] = cause_of(activity, CauseKind.EVENT)
        self._stats = {learner_id: recorded.stats[learner_id] for learner_id in self._causes}

    def awards(self) -> Iterable[NewAward]:
        """Return the awards of the badge conditions that hold."""
        return awards_by_condition(self.work.by_condition, self._stats, self._causes)

    def _activities(self) -> Iterator[NewActivity]:
        for match in self.work.matches:
            for interest in match.interests:
                learner = self.work.learner_of.get(match.person.key) if isinstance(interest, ActivityEvent) else None
                if learner is not None and isinstance(interest, ActivityEvent):
                    event = match.event
                    yield NewActivity(learner.pk, interest.activity, event.source, event.id, event.time)
