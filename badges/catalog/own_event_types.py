"""
Event types of this site: from documents to rows, and which templates use them.

A document of an event type is an entry of ``event_types`` in a pack. The admin, the REST API and packs save it here, so
each has the same checks. A change may not leave a template out of the catalog by accident: whoever saves it is told
which active templates no longer compile, and has to accept that.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from badges.catalog import event_types
from badges.catalog.data_schemas import read_schema
from badges.catalog.documents import Change, Document, DocumentError, Problem, pack_entry
from badges.catalog.editing import Outcome
from badges.catalog.event_types import EventDefinition
from badges.catalog.learner_paths import LearnerPathError
from badges.catalog.models import BadgeTemplate, EventType
from badges.catalog.structure import child_path, default_of, event_type_problems
from badges.catalog.validation import read_template
from badges.catalog.versions import editing_transaction
from badges.exceptions import Permanent

_KEYS = ("name", "title", "description", "schema", "learner_path", "is_active")
_OPTIONAL = ("title", "description", "is_active")
# Parts of a template's document that name event types.
_PARTS = ("requirements", "penalties", "criteria")


class EventTypeDraft(NamedTuple):
    """A valid document, its path in a pack, and the definition that it describes."""

    path: str
    document: Document
    definition: EventDefinition


class BrokenTemplate(NamedTuple):
    """An active template that no longer compiles after a change, and why."""

    slug: str
    problems: Sequence[Problem]

    def __str__(self) -> str:
        return f"{self.slug}: {'; '.join(map(str, self.problems))}"


class EventTypeInUseError(Permanent):
    """A change of an event type would leave active templates out. ``templates`` says which, and why."""

    def __init__(self, message: str, templates: Sequence[BrokenTemplate]) -> None:
        super().__init__("\n".join([message, *map(str, templates)]))
        self.templates = templates


@dataclass
class EventTypeResult:
    """One event type and the effect of saving it, done or planned. ``broken`` are the templates that it leaves out."""

    document: Document
    row: EventType
    outcome: Outcome
    changes: list[Change]
    broken: list[BrokenTemplate] = field(default_factory=list)


def read_event_type(entry: Any, *, path: str = "") -> tuple[EventTypeDraft | None, list[Problem]]:
    """Return the draft of an entry, or None and all problems. ``path`` is the path of the entry. No statement."""
    problems = event_type_problems(entry, path)
    if problems:
        return None, problems
    document = {key: entry.get(key, default_of("eventType", key)) if key in _OPTIONAL else entry[key] for key in _KEYS}
    name = document["name"]
    if reason := event_types.name_problem(name):
        problems.append(Problem(child_path(path, "name"), reason))
    schema, found = read_schema(document["schema"], child_path(path, "schema"))
    problems += found
    if schema is None:
        return None, problems
    try:
        definition = event_types.define_own(name, schema=schema, learner_path=document["learner_path"])
    except LearnerPathError as error:
        problems.append(Problem(child_path(path, "learner_path"), str(error)))
    return (None, problems) if problems else (EventTypeDraft(path, document, definition), [])


def document_of(row: EventType) -> Document:
    """Return a stored event type as an entry of a pack. Saving it here changes nothing."""
    return {key: json.loads(row.schema) if key == "schema" else getattr(row, key) for key in _KEYS}


def documents() -> Iterator[Document]:
    """Yield all stored event types as entries of a pack, in the order of their names; one statement."""
    return map(document_of, EventType.objects.order_by("name"))


def plan(drafts: Sequence[EventTypeDraft], *, replaced: Collection[str] = ()) -> list[EventTypeResult]:
    """
    Return what saving would do, without saving; three statements.

    ``replaced`` are the slugs of templates that are saved together with the event types, and need not be looked at.
    """
    stored = {row.name: row for row in EventType.objects.filter(name__in=[draft.document["name"] for draft in drafts])}
    planned = [_compare(draft, stored.get(draft.document["name"])) for draft in drafts]
    changed = {
        draft.document["name"]: draft.definition if draft.document["is_active"] else None
        for draft, item in zip(drafts, planned, strict=True)
        if item.outcome is Outcome.UPDATED
    }
    if changed:
        broken = broken_templates(changed, replaced=replaced)
        for item in planned:
            item.broken = [template for template, names in broken if item.document["name"] in names]
    return planned


def save(
    drafts: Sequence[EventTypeDraft],
    *,
    author: Any,
    now: dt.datetime,
    replaced: Collection[str] = (),
    accept_broken: bool = False,
) -> list[EventTypeResult]:
    """
    Save all event types or none, in one transaction. ``replaced`` is as for ``plan``.

    Raises EventTypeInUseError when active templates would no longer compile, unless ``accept_broken``.
    """
    with editing_transaction():
        planned = plan(drafts, replaced=replaced)
        broken = list({template.slug: template for item in planned for template in item.broken}.values())
        if broken and not accept_broken:
            raise EventTypeInUseError("After this change these active templates can no longer be earned:", broken)
        for item in planned:
            if item.outcome is not Outcome.UNCHANGED:
                _write(item, author=author, now=now)
    event_types.refreshed()
    return planned


def delete(row: EventType) -> None:
    """Delete an event type. Raises EventTypeInUseError when active templates use it."""
    with editing_transaction():
        using = [BrokenTemplate(slug, ()) for slug, _document in templates_using([row.name])]
        if using:
            message = "These active templates use the event type. Change or deactivate them before it is deleted:"
            raise EventTypeInUseError(message, using)
        row.delete()
    event_types.refreshed()


def templates_using(names: Iterable[str]) -> Iterator[tuple[str, Document]]:
    """Yield the slug and the document of each active template that names one of these event types."""
    wanted = set(names)
    for name in sorted(wanted):
        # The text is searched first, so that only documents are read that may name the type.
        rows = BadgeTemplate.objects.filter(
            is_active=True, current_revision__document__contains=json.dumps(name, ensure_ascii=False)
        )
        for slug, text in rows.order_by("slug").values_list("slug", "current_revision__document"):
            document = json.loads(text)
            named = wanted.intersection(_texts([document.get(part) for part in _PARTS]))
            if named and name == min(named):
                yield slug, document


def broken_templates(
    changed: Mapping[str, EventDefinition | None], *, replaced: Collection[str] = ()
) -> list[tuple[BrokenTemplate, set[str]]]:
    """
    Return the active templates that no longer compile when event types change, and which of these they name.

    ``changed`` has the new definitions by name, None for a type that is no longer active.
    """
    before = event_types.refreshed()
    after = {name: definition for name, definition in {**before, **changed}.items() if definition is not None}
    found = []
    for slug, document in templates_using(changed):
        if slug in replaced:
            continue
        entry = pack_entry(document)
        old = read_template(entry, definitions=before)[1]
        new = [problem for problem in read_template(entry, definitions=after)[1] if problem not in old]
        if new:
            named = {name for name in _texts([document.get(part) for part in _PARTS]) if name in changed}
            found.append((BrokenTemplate(slug, new), named))
    return found


def _compare(draft: EventTypeDraft, row: EventType | None) -> EventTypeResult:
    document = draft.document
    if row is None:
        return EventTypeResult(document, EventType(name=document["name"]), Outcome.CREATED, [])
    before = document_of(row)
    changes = [
        Change(key, _shown(before[key]), _shown(document[key]))
        for key in _KEYS
        # The order of keys counts: key paths are shown in it.
        if _shown(before[key]) != _shown(document[key])
    ]
    return EventTypeResult(document, row, Outcome.UPDATED if changes else Outcome.UNCHANGED, changes)


def _write(item: EventTypeResult, *, author: Any, now: dt.datetime) -> None:
    row, document = item.row, item.document
    for key in _KEYS:
        setattr(row, key, _shown(document[key]) if key == "schema" else document[key])
    row.author, row.modified_at = author, now
    if row.created_at is None:
        row.created_at = now
    row.save()


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def save_document(
    document: Any, *, author: Any = None, now: dt.datetime, accept_broken: bool = False
) -> EventTypeResult:
    """
    Create or update the event type that a document describes, and return what was done.

    Its ``name`` identifies the event type. Raises DocumentError with all problems, and EventTypeInUseError as ``save``.
    """
    draft, problems = read_event_type(document)
    if draft is None:
        raise DocumentError(problems)
    return save([draft], author=author, now=now, accept_broken=accept_broken)[0]
