"""
The public interface of the catalog: saving, exporting and archiving templates.

Decisions read the catalog through ``badges.catalog.snapshot``. Event types are in ``badges.catalog.event_types``.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from badges.catalog import editing, event_types, interests, queries
from badges.catalog.compiling import Compiler
from badges.catalog.documents import Change, Document, DocumentError, Problem, pack_entry
from badges.catalog.editing import Draft, Outcome, SaveResult, archive_template, count_earlier_events
from badges.catalog.interests import CompiledTemplate, Interest, Requirement
from badges.catalog.models import BadgeTemplate
from badges.catalog.validation import read_template
from badges.catalog.versions import bump_version, editing_transaction

__all__ = [
    "Change",
    "CompiledTemplate",
    "Document",
    "DocumentError",
    "Interest",
    "Outcome",
    "Problem",
    "Requirement",
    "SaveResult",
    "archive_template",
    "bump_version",
    "compile_draft",
    "count_earlier_events",
    "editing_transaction",
    "export_template",
    "plan_template",
    "problems_of",
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


def plan_template(document: Any) -> SaveResult:
    """
    Return what ``save_template`` would do with a document, and write nothing.

    ``stored`` of the result is None when the template would be created; its ``uuid`` is not decided then. Raises
    DocumentError with all problems.
    """
    read, problems = read_template(document)
    if read is None:
        raise DocumentError(problems)
    return editing.plan([Draft("", read)])[0]


def export_template(template: BadgeTemplate) -> Document:
    """
    Return a stored template as a template entry of a pack.

    Saving this entry here changes nothing. It costs at most seven statements.
    """
    stored = queries.load(BadgeTemplate.objects.filter(pk=template.pk))
    return pack_entry(stored[template.pk].document())


def compile_draft(document: Any) -> CompiledTemplate:
    """
    Return a compiled template that can be asked about events, of a document that need not be saved; no statement.

    - ``document``: one template entry of a pack, as for ``save_template``.

    ``matching(event_type, subject)`` of the result returns the requirements, penalties and other interests that an
    event meets;
    ``subject`` is what ``EventDefinition.subject`` returns. Requirements are told apart by their ``key``, because a
    draft has no row ids. ``completion(keys)`` says what is still open. The live catalog is not touched. Raises
    DocumentError with all problems.
    """
    read, problems = read_template(document)
    if read is None:
        raise DocumentError(problems)
    return Compiler(event_types.configured(), interests.kinds()).compile(read)


def problems_of(template: BadgeTemplate) -> list[Problem]:
    """
    Return why a stored template could not be saved as it is; an empty list when it could.

    A change of settings can make a stored template invalid.
    """
    return read_template(export_template(template))[1]
