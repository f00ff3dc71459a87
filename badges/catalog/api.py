"""
The catalog's door: how templates are saved, exported, put away.

Reading for decisions goes through ``badges.catalog.snapshot``, event types through ``badges.catalog.event_types``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from badges.catalog import editing, queries
from badges.catalog.documents import Change, Document, DocumentError, Problem, pack_entry
from badges.catalog.editing import Draft, Outcome, SaveResult, archive_template, record_revision
from badges.catalog.models import BadgeTemplate
from badges.catalog.validation import read_template
from badges.catalog.versions import bump_version, editing_transaction

__all__ = [
    "Change",
    "Document",
    "DocumentError",
    "Outcome",
    "Problem",
    "SaveResult",
    "archive_template",
    "bump_version",
    "editing_transaction",
    "export_template",
    "problems_of",
    "record_revision",
    "save_template",
]


def save_template(document: Any, *, author: Any = None, now: dt.datetime) -> SaveResult:
    """
    Create or update the template that one entry of a pack describes, by its slug.

    Everything is looked at before anything is written; raises DocumentError with all problems. The result says what was
    done (``outcome``, ``changes``); its ``stored.template`` is the row.
    """
    read, problems = read_template(document)
    if read is None:
        raise DocumentError(problems)
    return editing.save([Draft("", read)], author=author, now=now)[0]


def export_template(template: BadgeTemplate) -> Document:
    """Return a stored template as the entry of a pack that would leave it unchanged."""
    stored = queries.load(BadgeTemplate.objects.filter(pk=template.pk))
    return pack_entry(stored[template.pk].document())


def problems_of(template: BadgeTemplate) -> list[Problem]:
    """Return what would keep a stored template from being saved as it is: for editors that save rows one by one."""
    return read_template(export_template(template))[1]
