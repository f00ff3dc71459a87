"""
Packs: templates and event types as one versioned document, to copy them between environments.

A pack describes its own templates and event types. All others stay as they are. Event types come first, so that the
templates of the same pack may use them. A plan shows what applying the pack would change.
Applying the same pack a second time changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from badges.catalog import editing, event_types, own_event_types, queries
from badges.catalog.documents import Document, DocumentError, Problem, pack_entry
from badges.catalog.editing import CHUNK, Draft, SaveResult
from badges.catalog.models import BadgeTemplate
from badges.catalog.own_event_types import EventTypeDraft, EventTypeResult
from badges.catalog.structure import child_path, pack_problems
from badges.catalog.validation import read_template, repeated_templates
from badges.catalog.versions import editing_transaction

VERSION = 1

Progress = Callable[[int], Any]


class PackDrafts(NamedTuple):
    """The parts of a pack, all of them valid."""

    event_types: list[EventTypeDraft]
    templates: list[Draft]

    @property
    def slugs(self) -> set[str]:
        """The slugs of the pack's templates."""
        return {draft.document["slug"] for draft in self.templates}


def read_pack(pack: Any, *, progress: Progress | None = None) -> PackDrafts:
    """Return the parts of a pack, validated one by one and together. Raises DocumentError with all problems."""
    problems = pack_problems(pack)
    if problems:
        raise DocumentError(problems)
    own = _read_event_types(pack, problems)
    definitions = {**event_types.refreshed()}
    for draft in own:
        if draft.document["is_active"]:
            definitions[draft.document["name"]] = draft.definition
        else:
            definitions.pop(draft.document["name"], None)
    drafts = []
    for index, entry in enumerate(pack["templates"]):
        path = child_path("templates", index)
        document, found = read_template(entry, path=path, definitions=definitions)
        problems += found
        if document is not None:
            drafts.append(Draft(path, document))
        if progress:
            progress(1)
    problems += repeated_templates(drafts)
    if problems:
        raise DocumentError(problems)
    return PackDrafts(own, drafts)


def _read_event_types(pack: Any, problems: list[Problem]) -> list[EventTypeDraft]:
    drafts: dict[str, EventTypeDraft] = {}
    for index, entry in enumerate(pack.get("event_types", ())):
        draft, found = own_event_types.read_event_type(entry, path=child_path("event_types", index))
        problems += found
        if draft is None:
            continue
        known = drafts.setdefault(draft.document["name"], draft)
        if known is not draft:
            message = f"{draft.document['name']} is already {child_path(known.path, 'name')}"
            problems.append(Problem(child_path(draft.path, "name"), message))
    return list(drafts.values())


def plan(pack: Any, *, progress: Progress | None = None) -> list[EventTypeResult | SaveResult]:
    """
    Return what applying a pack would do to each of its event types and then templates. Raises DocumentError.

    ``progress`` is called with a number of templates. Each template counts twice: when it is read, and when it is
    compared. ``apply`` does the same.
    """
    drafts = read_pack(pack, progress=progress)
    own = own_event_types.plan(drafts.event_types, replaced=drafts.slugs)
    return [*own, *editing.plan(drafts.templates, progress=progress)]


def apply(
    pack: Any,
    *,
    author: Any = None,
    now: dt.datetime,
    progress: Progress | None = None,
    accept_broken: bool = False,
) -> list[EventTypeResult | SaveResult]:
    """
    Save all of a pack, or nothing, in one transaction. Raises DocumentError with all problems.

    Raises EventTypeInUseError when templates outside of the pack would no longer compile, unless ``accept_broken``.
    """
    drafts = read_pack(pack, progress=progress)
    try:
        with editing_transaction():
            own = own_event_types.save(
                drafts.event_types, author=author, now=now, replaced=drafts.slugs, accept_broken=accept_broken
            )
            return [*own, *editing.save(drafts.templates, author=author, now=now, progress=progress)]
    except DocumentError:
        event_types.refreshed()  # what was saved in the transaction is gone again
        raise


def export(*, progress: Progress | None = None) -> Document:
    """Return all event types, and all templates that are not archived, as one pack. Applying it changes nothing."""
    entries = []
    for document in _documents():
        entries.append(pack_entry(document))
        if progress:
            progress(1)
    own = list(own_event_types.documents())
    return {"pack": VERSION, **({"event_types": own} if own else {}), "templates": entries}


def _documents() -> Iterator[Document]:
    templates = BadgeTemplate.objects.filter(archived_at=None).order_by("slug")
    slugs = list(templates.values_list("slug", flat=True))
    for start in range(0, len(slugs), CHUNK):
        chunk = templates.filter(slug__in=slugs[start : start + CHUNK])
        for stored in queries.load(chunk).values():
            yield stored.document()
