"""
The compiled catalog: the interests of all active templates, indexed for matching events.

A template is compiled from the document of its current revision, once in a process: a revision never changes. A version
number in the database tells when templates may have new revisions; reading the number costs one statement. Then only
the new revisions are read and compiled, and the index is changed for them. When an event type has changed, the
templates that name it are compiled anew.

A template that cannot be compiled is left out as a whole, and the log names it. Otherwise a badge could be awarded on
half of its requirements.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.db.models import Q

from badges.catalog import event_types, interests
from badges.catalog.compiling import Compiler
from badges.catalog.documents import CRITERIA_KEY
from badges.catalog.interests import CompiledTemplate, Interest
from badges.catalog.models import BadgeRequirement, BadgeTemplate, CatalogVersion, TemplateRevision
from badges.rules import CriteriaError, RuleError, RuleIndex

log = logging.getLogger(__name__)

# So many revisions are read by one statement.
CHUNK = 500


@dataclass(frozen=True)
class Snapshot:
    """
    All active templates at one version of the catalog, indexed by event type and by the values in their rules.

    ``compiled`` has the templates by the UUID of their revision; None for a template that is left out. ``general`` has
    the interests that belong to no template. ``with_criteria`` has the templates that have a criteria document, by id.
    ``history_types`` are the event types that these documents read; None among them stands for every type.
    ``counts_from`` is the newest moment from which on events count for one of them, None without documents.
    ``with_figures`` has the templates whose document reads engagement figures.
    ``by_condition`` has the templates that demand nothing, by slug: a badge condition of this slug gives them.
    """

    version: int
    definitions: Mapping[str, event_types.EventDefinition] = field(default_factory=dict)
    kinds: tuple[type[Interest], ...] = ()
    compiled: Mapping[uuid.UUID, CompiledTemplate | None] = field(default_factory=dict, repr=False)
    indexes: Mapping[str, RuleIndex] = field(default_factory=dict, repr=False)
    general: Mapping[str, RuleIndex] = field(default_factory=dict, repr=False)
    with_criteria: Mapping[int, CompiledTemplate] = field(default_factory=dict, repr=False)
    history_types: frozenset[str | None] = frozenset()
    counts_from: dt.datetime | None = None
    with_figures: Sequence[CompiledTemplate] = field(default=(), repr=False)
    by_condition: Mapping[str, CompiledTemplate] = field(default_factory=dict, repr=False)

    def reads_history_of(self, event_type: str) -> bool:
        """Return whether a criteria document reads events of a type, so that they have to be remembered."""
        return event_type in self.history_types or None in self.history_types

    def history_since(self, event_type: str, now: dt.datetime) -> dt.datetime | None:
        """
        Return the time of the first event of a type that a criteria document can look back to at a moment.

        None: documents look back to every event. It is ``now`` where no document reads the type.
        """
        reaches = [template.criteria.reach(now) for template in self._reading(event_type) if template.criteria]
        return None if None in reaches else min([now, *(reach for reach in reaches if reach is not None)])

    def history_counts_from(self, event_type: str) -> dt.datetime | None:
        """Return the first moment from which on events of a type count for a document; None if no document reads it."""
        moments = [template.counts_from for template in self._reading(event_type) if template.counts_from]
        return min(moments, default=None)

    def _reading(self, event_type: str) -> list[CompiledTemplate]:
        with_types = [(each, each.criteria.event_types) for each in self.with_criteria.values() if each.criteria]
        return [template for template, types in with_types if None in types or event_type in types]

    def arrival(self, now: dt.datetime) -> dt.datetime:
        """
        Return when an event arrived that this snapshot decides. ``now`` is when its batch began.

        It counts for all documents of the snapshot. A document may have been saved since the batch began: after a lost
        connection the batch is tried again, by the catalog of that time.
        """
        return now if self.counts_from is None else max(now, self.counts_from)

    def matching(self, event_type: str, subject: Any) -> list[Interest]:
        """Return the interests whose rules hold for an event's single data object."""
        index = self.indexes.get(event_type)
        found: list[Interest] = index.matching(subject) if index is not None else []
        general = self.general.get(event_type)
        return [*found, *general.matching(subject)] if general is not None else found


class _Pointer(NamedTuple):
    """Which revision of a template is current."""

    template_id: int
    revision_id: int
    revision: uuid.UUID


@dataclass(slots=True)
class _Rows:
    """What the rows of a template's requirements say: ids by key, which may be reset, from when on events count."""

    ids: dict[str, int] = field(default_factory=dict)
    may_be_reset: list[int] = field(default_factory=list)
    counts_from: dt.datetime | None = None


_ROW_COLUMNS = ("template_id", "key", "id", "counts_from", "may_be_reset")

_lock = threading.Lock()
_cached: Snapshot | None = None


def current() -> Snapshot:
    """Return the snapshot of the current catalog. It costs one statement, unless the catalog has changed."""
    global _cached
    version, own_types = _version()
    definitions, kinds = event_types.at(own_types), interests.kinds()
    cached = _cached
    if cached is not None and cached.version == version and _is_for(cached, definitions, kinds):
        return cached
    with _lock:
        before, stale = _cached, frozenset[uuid.UUID]()
        if before is None or before.kinds is not kinds:
            before = Snapshot(version, definitions, kinds)
        elif before.definitions is not definitions:
            before, stale = replace(before, definitions=definitions), _stale(before, definitions)
        _cached = _compile_until_unchanged(before, version, stale)
        return _cached


def _is_for(snapshot: Snapshot, definitions: object, kinds: object) -> bool:
    return snapshot.definitions is definitions and snapshot.kinds is kinds


def _stale(before: Snapshot, definitions: Mapping[str, event_types.EventDefinition]) -> frozenset[uuid.UUID]:
    """Return the revisions that have to be compiled anew, because an event type that they name has changed."""
    names = before.definitions.keys() | definitions.keys()
    changed = {name for name in names if before.definitions.get(name) is not definitions.get(name)}
    return frozenset(
        revision
        for revision, template in before.compiled.items()
        # What one that was left out names is not known.
        if template is None or None in template.event_types or not template.event_types.isdisjoint(changed)
    )


def _version() -> tuple[int, int]:
    """Return the numbers of the catalog and of the event types of this site; one statement."""
    return CatalogVersion.objects.filter(id=1).values_list("number", "event_types").first() or (0, 0)


def _compile_until_unchanged(before: Snapshot, version: int, stale: frozenset[uuid.UUID]) -> Snapshot:
    """Compile the catalog; again when it was changed between the statements that read it."""
    while True:
        before, stale = _compile(before, version, stale), frozenset()
        after, _own_types = _version()
        if after == version:
            return before
        version = after


def _compile(before: Snapshot, version: int, stale: frozenset[uuid.UUID]) -> Snapshot:
    """Return the snapshot of a version. What ``before`` has compiled is taken from it, unless it is stale."""
    pointers, known = list(_pointers()), before.compiled.keys() - stale - _moved(before)
    new = [pointer for pointer in pointers if pointer.revision not in known]
    compiled = {pointer.revision: before.compiled.get(pointer.revision) for pointer in pointers}
    compiled |= _compile_revisions(new, Compiler(before.definitions, before.kinds))
    kept = compiled.keys() & known
    gone = [template for revision, template in before.compiled.items() if revision not in kept]
    added = [compiled[pointer.revision] for pointer in new]
    with_criteria = {each.id: each for each in compiled.values() if each is not None and each.criteria is not None}
    return Snapshot(
        version,
        before.definitions,
        before.kinds,
        compiled,
        _changed_indexes(before.indexes, gone, added),
        _general_indexes(before.kinds, before.definitions),
        with_criteria,
        frozenset(name for each in with_criteria.values() if each.criteria for name in each.criteria.event_types),
        max((each.counts_from for each in with_criteria.values() if each.counts_from), default=None),
        tuple([each for each in with_criteria.values() if each.criteria and each.criteria.figures]),
        {each.slug: each for each in compiled.values() if each is not None and not each.groups},
    )


def _moved(before: Snapshot) -> set[uuid.UUID]:
    """
    Return the revisions for whose documents events count from another moment than when they were compiled.

    A backfill moves it without a new revision. One statement, or none where no template has a document.
    """
    if not before.with_criteria:
        return set()
    rows = BadgeRequirement.objects.filter(key=CRITERIA_KEY, counts_from__isnull=False).order_by()
    moments = dict(rows.values_list("template_id", "counts_from"))
    return {
        revision
        for revision, template in before.compiled.items()
        if template is not None
        and template.criteria is not None
        and moments.get(template.id, template.counts_from) != template.counts_from
    }


def _pointers() -> Iterator[_Pointer]:
    """Yield the current revisions of active templates; one statement. The log names templates without revision."""
    is_active = Q(current_revision__is_active=True) | Q(current_revision=None, is_active=True)
    active = BadgeTemplate.objects.filter(is_active)
    columns = ("id", "current_revision_id", "current_revision__uuid")
    for template_id, revision_id, revision in active.order_by("id").values_list(*columns):
        if revision_id is None:
            log.error("Template %s is left out: it has no revision; run badges_rebuild_catalog.", template_id)
        else:
            yield _Pointer(template_id, revision_id, revision)


def _compile_revisions(pointers: Sequence[_Pointer], compiler: Compiler) -> dict[uuid.UUID, CompiledTemplate | None]:
    """Return compiled templates by revision, None for those that are left out; two statements for each chunk."""
    compiled: dict[uuid.UUID, CompiledTemplate | None] = {}
    for start in range(0, len(pointers), CHUNK):
        chunk = pointers[start : start + CHUNK]
        revisions = TemplateRevision.objects.filter(id__in=[pointer.revision_id for pointer in chunk]).order_by()
        text_of = dict(revisions.values_list("id", "document"))
        rows_of = {pointer.template_id: _Rows() for pointer in chunk}
        requirements = BadgeRequirement.objects.filter(template_id__in=rows_of).order_by()
        for template_id, key, requirement_id, moment, may_be_reset in requirements.values_list(*_ROW_COLUMNS):
            rows_of[template_id].ids[key] = requirement_id
            if may_be_reset:
                rows_of[template_id].may_be_reset.append(requirement_id)
            if key == CRITERIA_KEY:
                rows_of[template_id].counts_from = moment
        for pointer in chunk:
            text = text_of.get(pointer.revision_id)
            if text is not None:
                compiled[pointer.revision] = _compile_one(compiler, pointer, text, rows_of[pointer.template_id])
    return compiled


def _compile_one(compiler: Compiler, pointer: _Pointer, text: str, rows: _Rows) -> CompiledTemplate | None:
    try:
        template = compiler.compile_text(
            text,
            template_id=pointer.template_id,
            revision_id=pointer.revision_id,
            row_ids=rows.ids,
            counts_from=rows.counts_from,
            may_be_reset=rows.may_be_reset,
        )
        if template.criteria is None or template.counts_from is not None:
            return template
        log.error(
            "Template %s is left out: the row of its criteria does not say from when on events count; "
            "run badges_rebuild_catalog.",
            pointer.template_id,
        )
    except (RuleError, CriteriaError) as error:
        log.error("Template %s is left out: %s", pointer.template_id, error)
    except KeyError as error:
        log.error(
            "Template %s is left out: its revision %s has no %s, or that has no row; run badges_rebuild_catalog.",
            pointer.template_id,
            pointer.revision_id,
            error,
        )
    return None


def _changed_indexes(
    before: Mapping[str, RuleIndex],
    gone: Iterable[CompiledTemplate | None],
    added: Iterable[CompiledTemplate | None],
) -> dict[str, RuleIndex]:
    removed, new = _by_event_type(gone), _by_event_type(added)
    indexes = dict(before)
    for event_type in removed.keys() | new.keys():
        index = indexes.get(event_type, RuleIndex())
        indexes[event_type] = index.replace(removed.get(event_type, ()), new.get(event_type, ()))
        if not indexes[event_type]:
            del indexes[event_type]
    return indexes


def _by_event_type(templates: Iterable[CompiledTemplate | None]) -> dict[str, list[tuple[Any, Interest]]]:
    found: dict[str, list[tuple[Any, Interest]]] = {}
    for template in templates:
        if template is not None:
            for interest in template.interests:
                found.setdefault(interest.event_type, []).append((interest.rules, interest))
    return found


def _general_indexes(
    kinds: Iterable[type[Interest]], definitions: Mapping[str, event_types.EventDefinition]
) -> dict[str, RuleIndex]:
    found: dict[str, list[tuple[Any, Interest]]] = {}
    for kind in kinds:
        for interest in kind.of_no_template(definitions):
            found.setdefault(interest.event_type, []).append((interest.rules, interest))
    return {event_type: RuleIndex(entries) for event_type, entries in found.items()}
