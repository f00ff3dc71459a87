"""
What wants to know of events: interests, and the compiled templates that they belong to.

An *interest* has an event type and data rules. The snapshot indexes interests, and the pipeline hands each event to the
interests whose rules hold. The class of an interest is its kind, such as ``Requirement``. A new kind is a new class,
which is registered here, and a step of the pipeline. Indexing and matching are the same for all kinds.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from badges.catalog import event_types
from badges.catalog.documents import CRITERIA_KEY, Document
from badges.catalog.event_types import EventDefinition
from badges.catalog.expiry import Expiry
from badges.rules import Completion, Criteria, IndexedRules, RuleSet, completion, rules_of

# The id of what has no row, because it belongs to a draft.
NO_ROW = 0

# Compiles the data rules of an event type. Returns None when the type is not configured. Raises RuleError.
CompileRules = Callable[[str, Sequence[Document]], RuleSet | None]


@dataclass(slots=True, eq=False)
class Interest:
    """
    Something that wants to know of the events of one type for which its rules hold.

    ``template`` is the template that it belongs to, or None. An instance is never changed.

    The kind decides three facts:

    - ``keeps_event``: whether a matching event is kept in the inbox. Events that meet no such interest are ignored.
    - ``creates_learner``: whether a person without a learner gets one. It needs ``keeps_event``.
    - ``asks_known_learners``: whether an event that is not kept is handed to the step all the same, if the person is a
      learner already.
    """

    keeps_event: ClassVar[bool] = True
    creates_learner: ClassVar[bool] = True
    asks_known_learners: ClassVar[bool] = False

    event_type: str
    rules: IndexedRules
    template: CompiledTemplate | None

    @classmethod
    def of_template(
        cls, document: Document, template: CompiledTemplate, compile_rules: CompileRules
    ) -> Iterable[Interest]:
        """Return the interests of this kind that a template's document describes. Raises RuleError."""
        return ()

    @classmethod
    def of_no_template(cls, definitions: Mapping[str, EventDefinition]) -> Iterable[Interest]:
        """Return the interests of this kind that belong to no template. Called for every new snapshot."""
        return ()


@dataclass(slots=True, eq=False)
class CompiledTemplate:
    """
    A template for decisions, compiled from the document of one revision. An instance is not changed after that.

    - ``id``, ``revision_id``: the rows; ``NO_ROW`` in a draft.
    - ``row_ids``: the row ids of requirements by key; empty in a draft.
    - ``groups``: (key, group) of every requirement. The criteria document is one, with the key ``criteria``.
    - ``issuers``: (provider, organization, the template there).
    - ``requirements``: (row id, group) of every requirement, as ``groups``; empty in a draft.
    - ``criteria``: the compiled criteria document, or None.
    - ``counts_from``: only events that arrived at this moment or later count for the document. None without a document;
      in a draft it is None, too, and all events count.
    - ``may_be_reset``: the row ids of the requirements that a penalty names, or has named in an earlier revision.
    - ``expiry``: how long its badge holds; None for ever.
    - ``event_types``: the event types that it names, configured or not; None among them stands for every type.
    """

    id: int
    revision_id: int
    uuid: uuid.UUID | None
    slug: str
    award_once: bool
    row_ids: Mapping[str, int]
    groups: Sequence[tuple[str, str | None]]
    issuers: Sequence[tuple[str, str, str]]
    requirements: Sequence[tuple[int, str | None]] = ()
    interests: Sequence[Interest] = ()
    criteria: Criteria | None = None
    counts_from: dt.datetime | None = None
    may_be_reset: frozenset[int] = frozenset()
    expiry: Expiry | None = None
    event_types: frozenset[str | None] = frozenset()

    @property
    def criteria_id(self) -> int | None:
        """The row of the criteria document as a requirement; None without a document and in a draft."""
        return self.row_ids.get(CRITERIA_KEY) if self.criteria is not None else None

    def matching(self, event_type: str, subject: Any) -> list[Interest]:
        """Return the interests whose rules hold for an event's single data object. It asks one after the other."""
        return [
            interest
            for interest in self.interests
            if interest.event_type == event_type and interest.rules.holds(subject)
        ]

    def completion(self, fulfilled: Collection[str]) -> Completion:
        """Return how complete the template is when the requirements with these keys are fulfilled."""
        return completion(self.groups, fulfilled)


@dataclass(slots=True, eq=False)
class Requirement(Interest):
    """A requirement of a template. ``id`` is its row, ``NO_ROW`` in a draft."""

    rules: RuleSet
    template: CompiledTemplate
    id: int
    key: str

    @classmethod
    def of_template(
        cls, document: Document, template: CompiledTemplate, compile_rules: CompileRules
    ) -> Iterable[Requirement]:
        """Return the requirements of a document. One whose event type is not configured cannot be met now."""
        for entry in document["requirements"]:
            event_type, key = entry["event_type"], entry["key"]
            rules = compile_rules(event_type, entry["rules"])
            if rules is not None:
                yield cls(event_type, rules, template, template.row_ids.get(key, NO_ROW), key)


@dataclass(slots=True, eq=False)
class Penalty(Interest):
    """
    A penalty of a template. ``keys`` are the requirements that it resets, ``requirement_ids`` their rows.

    Somebody who has earned nothing gets no learner because of a penalty. In a draft ``requirement_ids`` is empty.
    """

    creates_learner: ClassVar[bool] = False

    rules: RuleSet
    template: CompiledTemplate
    keys: tuple[str, ...]
    requirement_ids: tuple[int, ...]

    @classmethod
    def of_template(
        cls, document: Document, template: CompiledTemplate, compile_rules: CompileRules
    ) -> Iterable[Penalty]:
        """Return the penalties of a document. One whose event type is not configured cannot happen now."""
        for entry in document["penalties"]:
            rules = compile_rules(entry["event_type"], entry["rules"])
            if rules is not None:
                keys = tuple(entry["requirements"])
                ids = tuple([template.row_ids[key] for key in keys]) if template.row_ids else ()
                yield cls(entry["event_type"], rules, template, keys, ids)


@dataclass(slots=True, eq=False)
class HistoryEvent(Interest):
    """
    An event that the criteria document of a template has to be evaluated for, because it may make it true.

    A document has one for each of its triggers (``badges.rules.Criteria.triggers``). So two of them may hold for one
    event.
    """

    template: CompiledTemplate

    @classmethod
    def of_template(
        cls, document: Document, template: CompiledTemplate, compile_rules: CompileRules
    ) -> Iterable[HistoryEvent]:
        """Return the interests of the criteria document, if the template has one."""
        if template.criteria is None:
            return
        for trigger in template.criteria.triggers:
            if trigger.event_type is not None:
                yield HistoryEvent(trigger.event_type, rules_of(trigger), template)
            else:
                for event_type in event_types.configured():
                    yield AnyHistoryEvent(event_type, rules_of(trigger), template)


@dataclass(slots=True, eq=False)
class AnyHistoryEvent(HistoryEvent):
    """
    The same for a document that reads events of every type.

    Such a document would be interested in everybody and everything. So the event is not kept because of it, and it is
    evaluated for people who are learners already.
    """

    keeps_event: ClassVar[bool] = False
    creates_learner: ClassVar[bool] = False
    asks_known_learners: ClassVar[bool] = True


_kinds: tuple[type[Interest], ...] = (Requirement, Penalty, HistoryEvent)


def register(kind: type[Interest]) -> None:
    """Add a kind of interests. Call it when the app is ready, before events arrive."""
    global _kinds
    if kind not in _kinds:
        _kinds = (*_kinds, kind)


def unregister(kind: type[Interest]) -> None:
    """Remove a kind of interests that ``register`` has added."""
    global _kinds
    _kinds = tuple(known for known in _kinds if known is not kind)


def kinds() -> tuple[type[Interest], ...]:
    """Return the kinds of interests. It is the same object until a kind is added or removed."""
    return _kinds
