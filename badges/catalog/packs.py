"""
Packs: templates as one versioned document, to copy them between environments.

A pack describes its own templates. Other templates stay as they are. A plan shows what applying the pack would change.
Applying the same pack a second time changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from badges.catalog import editing, queries
from badges.catalog.documents import Document, DocumentError, pack_entry
from badges.catalog.editing import CHUNK, Draft, SaveResult
from badges.catalog.models import BadgeTemplate
from badges.catalog.structure import child_path, pack_problems
from badges.catalog.validation import read_template, repeated_templates

VERSION = 1

Progress = Callable[[int], Any]


def read_pack(pack: Any, *, progress: Progress | None = None) -> list[Draft]:
    """Return the templates of a pack, validated one by one and together. Raises DocumentError with all problems."""
    problems = pack_problems(pack)
    if problems:
        raise DocumentError(problems)
    drafts = []
    for index, entry in enumerate(pack["templates"]):
        path = child_path("templates", index)
        document, found = read_template(entry, path=path)
        problems += found
        if document is not None:
            drafts.append(Draft(path, document))
        if progress:
            progress(1)
    problems += repeated_templates(drafts)
    if problems:
        raise DocumentError(problems)
    return drafts


def plan(pack: Any, *, progress: Progress | None = None) -> list[SaveResult]:
    """
    Return what applying a pack would do to each of its templates. Raises DocumentError.

    ``progress`` is called with a number of templates. Each template counts twice: when it is read, and when it is
    compared. ``apply`` does the same.
    """
    return editing.plan(read_pack(pack, progress=progress), progress=progress)


def apply(pack: Any, *, author: Any = None, now: dt.datetime, progress: Progress | None = None) -> list[SaveResult]:
    """Save all templates of a pack, or none, in one transaction. Raises DocumentError with all problems."""
    return editing.save(read_pack(pack, progress=progress), author=author, now=now, progress=progress)


def export(*, progress: Progress | None = None) -> Document:
    """Return all templates that are not archived as one pack. Applying it here changes nothing."""
    entries = []
    for document in _documents():
        entries.append(pack_entry(document))
        if progress:
            progress(1)
    return {"pack": VERSION, "templates": entries}


def _documents() -> Iterator[Document]:
    templates = BadgeTemplate.objects.filter(archived_at=None).order_by("slug")
    slugs = list(templates.values_list("slug", flat=True))
    for start in range(0, len(slugs), CHUNK):
        chunk = templates.filter(slug__in=slugs[start : start + CHUNK])
        for stored in queries.load(chunk).values():
            yield stored.document()
