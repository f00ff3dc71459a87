"""
The people of a backfill, in chunks: first those with logged events, then learners about whom something else is known.

A chunk is small enough to be decided in one transaction. The cursor of a run says where the next one begins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from badges.backfill.evidence import LogRules, people_with_events
from badges.database import Among
from badges.engagement.models import LearnerEngagement
from badges.history.event_log import person_key
from badges.intake.models import Learner, LearnerIdentity
from badges.progress.models import BadgeProgress

# A chunk has at most so many people, and so many logged events unless one person has more.
PEOPLE = 500
EVENTS = 20_000


class Stage(StrEnum):
    """What a chunk is made of: people with logged events by key of the event log, or learners by primary key."""

    EVENTS = "events"
    LEARNERS = "learners"


@dataclass(frozen=True)
class Chunk:
    """Some people. ``ids`` are in ascending order. ``number`` is how much of the run's total it is."""

    stage: Stage
    ids: Sequence[int]

    @property
    def cursor(self) -> Any:
        """Where the run goes on after this chunk, as JSON."""
        return [self.stage, self.ids[-1]]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the event log. ``learner_id`` is None for a person without a learner here."""

    learner_id: int | None
    lms_user_id: int | None

    @property
    def key(self) -> int:
        """What the event log knows the person by."""
        found = person_key(self.lms_user_id, self.learner_id)
        assert found is not None, "people come from the log or from learners"
        return found

    @property
    def keys(self) -> list[int]:
        """By which keys the person may have events: some may be from before the LMS user id was known."""
        found = (person_key(self.lms_user_id), person_key(None, self.learner_id))
        return [key for key in found if key is not None]


def count_people(rules: LogRules) -> int:
    """Return how many people and learners all chunks have together, as far as it is known now; two statements."""
    in_log = rules.events().aggregate(number=Count("person", distinct=True))["number"] if rules.interests else 0
    return int(in_log) + _learners(rules).count()


def chunks(rules: LogRules, cursor: Any) -> Iterator[Chunk]:
    """Yield the chunks after a cursor; one statement for each."""
    stage, last = (Stage(cursor[0]), cursor[1]) if cursor else (Stage.EVENTS, None)
    if stage is Stage.EVENTS:
        while rules.interests and (ids := _next_in_log(rules, last)):
            last = ids[-1]
            yield Chunk(Stage.EVENTS, ids)
        last = None
    while ids := list(_after(_learners(rules), last).values_list("pk", flat=True)[:PEOPLE]):
        last = ids[-1]
        yield Chunk(Stage.LEARNERS, ids)


def learner_ids_of(chunk: Chunk) -> list[int]:
    """Return the learners of a chunk who are there now; one statement."""
    if chunk.stage is Stage.LEARNERS:
        return list(chunk.ids)
    return list(Learner.objects.filter(_in_log(chunk)).order_by().values_list("pk", flat=True))


def people_of(chunk: Chunk, rules: LogRules) -> list[Person]:
    """
    Return the people of a chunk, without those who are in an earlier one; at most two statements.

    People who were retired are left out.
    """
    is_chosen = _in_log(chunk) if chunk.stage is Stage.EVENTS else Q(Among(F("pk"), chunk.ids))
    learners = list(Learner.objects.filter(is_chosen, _IS_SOMEBODY).order_by("pk").values_list("pk", "lms_user_id"))
    people = [Person(*row) for row in learners]
    if chunk.stage is Stage.LEARNERS:
        decided = people_with_events([key for person in people for key in person.keys], rules)
        return [person for person in people if decided.isdisjoint(person.keys)]
    in_chunk = set(chunk.ids)
    # Who has events under both keys is in the chunk of the smaller one.
    earlier = people_with_events([-pk for pk, _ in learners if -pk not in in_chunk], rules)
    people = [person for person in people if person.learner_id and -person.learner_id not in earlier]
    known = {lms_user_id for _, lms_user_id in learners}
    return people + [Person(None, key) for key in chunk.ids if key > 0 and key not in known]


_IS_SOMEBODY = (
    Q(lms_user_id__isnull=False)
    | Q(user__isnull=False)
    | Q(Exists(LearnerIdentity.objects.filter(learner=OuterRef("pk"))))
)


def _in_log(chunk: Chunk) -> Q:
    lms_user_ids = [key for key in chunk.ids if key > 0]
    ids = [-key for key in chunk.ids if key < 0]
    condition = Q(pk__in=[])
    condition |= Q(Among(F("lms_user_id"), lms_user_ids)) if lms_user_ids else Q(pk__in=[])
    return condition | Q(Among(F("pk"), ids)) if ids else condition


def _next_in_log(rules: LogRules, last: int | None) -> list[int]:
    """Return the next people with logged events: as many as have ``EVENTS`` together, but at least one."""
    rows = rules.events() if last is None else rules.events().filter(person__gt=last)
    found: list[int] = []
    events = 0
    for person, number in rows.values_list("person").annotate(number=Count("pk")).order_by("person")[:PEOPLE]:
        events += number
        if found and events > EVENTS:
            break
        found.append(person)
    return found


def _learners(rules: LogRules) -> QuerySet[Learner]:
    """Return the learners whose stored progress, or whose figures, may complete a template without logged events."""
    begun = BadgeProgress.objects.filter(
        learner=OuterRef("pk"), template__in=list(rules.templates), completed_at__isnull=True
    )
    condition = Q(Exists(begun))
    if rules.reads_figures:
        condition |= Q(Exists(LearnerEngagement.objects.filter(learner=OuterRef("pk"))))
    return Learner.objects.filter(condition).order_by("pk")


def _after(learners: QuerySet[Learner], last: int | None) -> QuerySet[Learner]:
    return learners if last is None else learners.filter(pk__gt=last)


def keys_of(people: Collection[Person]) -> dict[int, int]:
    """Return all keys under which people may have events, each with the one that the event log knows them by now."""
    return {key: person.key for person in people for key in person.keys}
