"""
The public interface of the catalog: saving, exporting and archiving templates.

Decisions read the catalog through ``badges.catalog.snapshot``. Event types are in ``badges.catalog.event_types``.
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
    Create or update the template that a document describes, and return what was done.

    - ``document``: one template entry of a pack, as ``pack.schema.json`` describes it. Its ``slug`` identifies the
      template. Keys that are left out have the schema's defaults.
    - ``author``: the user that the revision names, or None.
    - ``now``: the time of the change. It needs a time zone.

    The result holds ``outcome``, ``changes`` and, in ``stored.template``, the row. Saving awards and revokes nothing.
    Raises DocumentError with all problems when the document cannot be saved; nothing is written then.
    """
    read, problems = read_template(document)
    if read is None:
        raise DocumentError(problems)
    return editing.save([Draft("", read)], author=author, now=now)[0]


def export_template(template: BadgeTemplate) -> Document:
    """
    Return a stored template as a template entry of a pack.

    Saving this entry here changes nothing. It costs five statements.
    """
    stored = queries.load(BadgeTemplate.objects.filter(pk=template.pk))
    return pack_entry(stored[template.pk].document())


def problems_of(template: BadgeTemplate) -> list[Problem]:
    """
    Return why a stored template could not be saved as it is; an empty list when it could.

    This is for code that saves rows one by one. A change of settings can make a stored template invalid, too.
    """
    return read_template(export_template(template))[1]
