"""
Writing templates: from documents to rows, many at a time, with their revisions.

Packs, the admin and code all save templates here. So each change writes a revision and a new catalog version, in the
same transaction. Saving a template awards and revokes nothing.

The revision says what a template demands. The rows of issuers, requirements and rules repeat it. No other code writes
them; ``rebuild`` writes them again after somebody changed them by hand. The row of a criteria document says one thing
that is not in the revision: from which moment on events count for it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models import OuterRef, Q, QuerySet, Subquery
from uuid6 import uuid7

from badges.catalog import queries
from badges.catalog.documents import (
    CRITERIA_KEY,
    Change,
    Document,
    DocumentError,
    Problem,
    demands,
    differences,
    document_text,
)
from badges.catalog.models import (
    BadgePenalty,
    BadgeRequirement,
    BadgeTemplate,
    DataRule,
    PenaltyDataRule,
    PenaltyRequirement,
    TemplateIssuer,
    TemplateRevision,
)
from badges.catalog.queries import StoredTemplate
from badges.catalog.structure import child_path
from badges.catalog.versions import bump_version, editing_transaction

CHUNK = 500

_TEMPLATE_COLUMNS = ("name", "description", "image_url", "is_active", "award_once")
_REQUIREMENT_COLUMNS = ("event_type", "group", "description")


class Draft(NamedTuple):
    """A valid document and its path in the pack. The path is for problems that only the tables can show."""

    path: str
    document: Document


class Outcome(StrEnum):
    """The effect of saving a template."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass
class SaveResult:
    """One template and the effect of saving it, done or planned. ``stored`` is None before a new one is written."""

    document: Document
    stored: StoredTemplate | None
    outcome: Outcome
    changes: list[Change]


def plan(drafts: Sequence[Draft], *, progress: Callable[[int], Any] | None = None) -> list[SaveResult]:
    """Return what saving would do, without saving. Raises DocumentError for conflicts with the stored templates."""
    planned: list[SaveResult] = []
    problems: list[Problem] = []
    for chunk in _chunks(drafts):
        planned += _compare(chunk, problems)
        if progress:
            progress(len(chunk))
    if problems:
        raise DocumentError(problems)
    return planned


def save(
    drafts: Sequence[Draft], *, author: Any, now: dt.datetime, progress: Callable[[int], Any] | None = None
) -> list[SaveResult]:
    """Save all templates or none, in one transaction. Raises DocumentError for conflicts with the stored ones."""
    saved: list[SaveResult] = []
    problems: list[Problem] = []
    with editing_transaction():
        for chunk in _chunks(drafts):
            planned = _compare(chunk, problems)
            if not problems:
                _write(planned, author=author, now=now)
            saved += planned
            if progress:
                progress(len(chunk))
        if problems:
            raise DocumentError(problems)
        if any(item.outcome is not Outcome.UNCHANGED for item in saved):
            bump_version()
    return saved


def count_earlier_events(moments: Mapping[int, dt.datetime]) -> int:
    """
    Let events count for criteria documents that arrived from a moment on, given by the id of the template.

    For those whose events count from a later moment; return how many there were. It is no edit: no revision is written,
    and nothing is awarded. Four statements, and one for each template.
    """
    changed = 0
    with editing_transaction():
        for template_id, moment in sorted(moments.items()):
            rows = BadgeRequirement.objects.filter(template=template_id, key=CRITERIA_KEY, archived_at=None)
            changed += rows.filter(counts_from__gt=moment).update(counts_from=moment)
        if changed:
            bump_version()
    return changed


def archive_template(template: BadgeTemplate, *, author: Any, now: dt.datetime) -> None:
    """Archive a template: no event is matched against it any more. Credentials and progress of learners stay."""
    archive_templates(BadgeTemplate.objects.filter(pk=template.pk), author=author, now=now)
    template.refresh_from_db()


def archive_templates(templates: QuerySet[BadgeTemplate], *, author: Any, now: dt.datetime) -> int:
    """
    Archive templates, as ``archive_template`` does; return how many.

    The number of statements does not depend on the number of templates.
    """
    with editing_transaction():
        stored = queries.load(templates)
        changed = []
        for each in stored.values():
            before = each.document()
            if before["is_active"] or each.template.current_revision is None:
                document = {**before, "is_active": False}
                changed.append(SaveResult(document, each, Outcome.UPDATED, differences(before, document)))
        BadgeTemplate.objects.filter(pk__in=stored).update(is_active=False, archived_at=now, modified_at=now)
        _write_revisions(changed, author)
        if stored:
            bump_version()
    return len(stored)


def rebuild(
    *, author: Any, now: dt.datetime, dry_run: bool = False, progress: Callable[[int], Any] | None = None
) -> list[SaveResult]:
    """
    Write the rows of all templates as their current revisions say; return what differed, with the changes.

    This is for rows that were changed by hand. A template without a revision, such as one that was inserted by hand,
    gets its first revision from its rows. The others get a new revision with the same document, because processes keep
    what they compiled of a revision, with the ids of its rows. ``dry_run`` writes nothing.
    """
    rebuilt: list[SaveResult] = []
    with editing_transaction():
        ids = list(BadgeTemplate.objects.order_by("id").values_list("id", flat=True))
        for start in range(0, len(ids), CHUNK):
            chunk = queries.load(BadgeTemplate.objects.filter(pk__in=ids[start : start + CHUNK]))
            found = [item for stored in chunk.values() if (item := _rebuilt(stored)) is not None]
            if not dry_run:
                _update_templates(found, now, restore=False)
                _write_rows_and_revisions(found, author=author, now=now)
            rebuilt += found
            if progress:
                progress(len(chunk))
        if rebuilt and not dry_run:
            bump_version()
    return rebuilt


def _rebuilt(stored: StoredTemplate) -> SaveResult | None:
    rows, document = stored.rows_document(), stored.document()
    changes = differences(rows, document)
    if rows["slug"] != document["slug"]:
        changes.insert(0, Change("slug", rows["slug"], document["slug"]))
    if stored.template.current_revision is None:
        changes.append(Change("revision", None, "1"))
    row = stored.requirements.get(CRITERIA_KEY)
    if document["is_active"] and document["criteria"] is not None and row is not None and row.counts_from is None:
        changes.append(Change("criteria.counts_from", None, "now"))
    for key in sorted({key for penalty in document["penalties"] for key in penalty["requirements"]}):
        penalized = stored.requirements.get(key)
        if penalized is not None and not penalized.may_be_reset:
            changes.append(Change(f"requirements[{key}].may_be_reset", "false", "true"))
    return SaveResult(document, stored, Outcome.UPDATED, changes) if changes else None


def _chunks(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    for start in range(0, len(drafts), CHUNK):
        yield drafts[start : start + CHUNK]


# --- comparing -------------------------------------------------------------------------------------------------------


def _compare(drafts: Sequence[Draft], problems: list[Problem]) -> list[SaveResult]:
    slugs = [draft.document["slug"] for draft in drafts]
    uuids = [draft.document["uuid"] for draft in drafts if draft.document["uuid"]]
    found = queries.load(BadgeTemplate.objects.filter(Q(slug__in=slugs) | Q(uuid__in=uuids)))
    by_slug = {stored.template.slug: stored for stored in found.values()}
    by_uuid = {str(stored.template.uuid): stored for stored in found.values()}
    planned = []
    for draft in drafts:
        stored = by_slug.get(draft.document["slug"])
        problems += _conflicts(draft, stored, by_uuid)
        planned.append(_planned(draft.document, stored))
    return planned


def _conflicts(draft: Draft, stored: StoredTemplate | None, by_uuid: dict[str, StoredTemplate]) -> list[Problem]:
    wanted = draft.document["uuid"]
    path = child_path(draft.path, "uuid")
    if stored is not None and wanted and wanted != str(stored.template.uuid):
        return [Problem(path, f"this template has the UUID {stored.template.uuid}, which never changes; write that")]
    holder = by_uuid.get(wanted) if wanted else None
    if stored is None and holder is not None:
        slug = holder.template.slug
        return [Problem(path, f"this is the UUID of the template {slug}; write that slug, or leave the uuid out")]
    return []


def _planned(document: Document, stored: StoredTemplate | None) -> SaveResult:
    if stored is None:
        return SaveResult({**document, "uuid": document["uuid"] or str(uuid7())}, None, Outcome.CREATED, [])
    document = {**document, "uuid": str(stored.template.uuid)}
    changes = differences(stored.document(), document)
    if stored.template.archived_at is not None:
        changes.insert(0, Change("archived", "true", "false"))
    if stored.template.current_revision is None:
        changes.append(Change("revision", None, "1"))
    return SaveResult(document, stored, Outcome.UPDATED if changes else Outcome.UNCHANGED, changes)


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(planned: Sequence[SaveResult], *, author: Any, now: dt.datetime) -> None:
    _create_templates([item for item in planned if item.stored is None])
    changed = [item for item in planned if item.outcome is not Outcome.UNCHANGED]
    _update_templates([item for item in changed if item.outcome is Outcome.UPDATED], now)
    _write_rows_and_revisions(changed, author=author, now=now)


def _write_rows_and_revisions(planned: Sequence[SaveResult], *, author: Any, now: dt.datetime) -> None:
    _write_issuers(planned)
    _write_requirements(planned, now)
    _write_rules(planned)
    _write_penalties(planned)
    _write_revisions(planned, author)


def _create_templates(planned: Sequence[SaveResult]) -> None:
    rows = []
    for item in planned:
        columns = {column: item.document[column] for column in ("slug", *_TEMPLATE_COLUMNS)}
        rows.append(BadgeTemplate(uuid=uuid.UUID(item.document["uuid"]), **columns))
    BadgeTemplate.objects.bulk_create(rows)
    # Read back rather than returned by the insert, which MySQL cannot do.
    by_slug = {row.slug: row for row in BadgeTemplate.objects.filter(slug__in=[row.slug for row in rows])}
    for item in planned:
        item.stored = StoredTemplate(by_slug[item.document["slug"]])


def _update_templates(planned: Sequence[SaveResult], now: dt.datetime, *, restore: bool = True) -> None:
    """Write the columns of templates. ``restore`` takes them out of the archive."""
    rows = []
    for item in planned:
        row = _stored(item).template
        for column in ("slug", *_TEMPLATE_COLUMNS):
            setattr(row, column, item.document[column])
        row.archived_at, row.modified_at = None if restore else row.archived_at, now
        rows.append(row)
    columns = ["slug", *_TEMPLATE_COLUMNS, "archived_at", "modified_at"]
    BadgeTemplate.objects.bulk_update(rows, columns, batch_size=CHUNK)


def _write_issuers(planned: Sequence[SaveResult]) -> None:
    new: list[TemplateIssuer] = []
    changed: list[TemplateIssuer] = []
    gone: list[int] = []
    for item in planned:
        stored = _stored(item)
        wanted = {issuer["provider"]: issuer for issuer in item.document["issuers"]}
        gone += [row.pk for provider, row in stored.issuers.items() if provider not in wanted]
        for provider, issuer in wanted.items():
            row = stored.issuers.get(provider) or TemplateIssuer(template=stored.template, provider=provider)
            row.organization, row.external_template = issuer["organization"], issuer["template"]
            (changed if row.pk else new).append(row)
    TemplateIssuer.objects.filter(pk__in=gone).delete()
    TemplateIssuer.objects.bulk_create(new)
    TemplateIssuer.objects.bulk_update(changed, ["organization", "external_template"], batch_size=CHUNK)


def _write_requirements(planned: Sequence[SaveResult], now: dt.datetime) -> None:
    new: list[BadgeRequirement] = []
    changed: list[BadgeRequirement] = []
    for item in planned:
        stored = _stored(item)
        wanted = {requirement["key"]: requirement for requirement in demands(item.document)}
        penalized = {key for penalty in item.document["penalties"] for key in penalty["requirements"]}
        for key, live in stored.requirements.items():
            if key not in wanted and live.archived_at is None:
                live.archived_at, live.counts_from = now, None
                changed.append(live)
        for key, requirement in wanted.items():
            row = stored.requirements.get(key)
            columns = {column: requirement[column] for column in _REQUIREMENT_COLUMNS}
            columns["counts_from"] = _counts_from(key, row, item.document, now)
            columns["may_be_reset"] = key in penalized or (row is not None and row.may_be_reset)
            if row is None:
                new.append(BadgeRequirement(template=stored.template, key=key, **columns))
            elif row.archived_at is not None or any(getattr(row, name) != value for name, value in columns.items()):
                row.archived_at = None
                for name, value in columns.items():
                    setattr(row, name, value)
                changed.append(row)
    BadgeRequirement.objects.bulk_create(new)
    written_columns = [*_REQUIREMENT_COLUMNS, "counts_from", "may_be_reset", "archived_at"]
    BadgeRequirement.objects.bulk_update(changed, written_columns, batch_size=CHUNK)
    by_template = {_stored(item).template.pk: _stored(item) for item in planned}
    for written in BadgeRequirement.objects.filter(template_id__in={row.template_id for row in new}):
        by_template[written.template_id].requirements.setdefault(written.key, written)


def _counts_from(key: str, row: BadgeRequirement | None, document: Document, now: dt.datetime) -> dt.datetime | None:
    """Return from when on events count for a criteria document: since its template was active for the first time."""
    if key != CRITERIA_KEY:
        return None
    known = row.counts_from if row is not None else None
    return known or (now if document["is_active"] else None)


def _write_rules(planned: Sequence[SaveResult]) -> None:
    new: list[DataRule] = []
    outdated: list[int] = []
    for item in planned:
        stored = _stored(item)
        for requirement in item.document["requirements"]:
            row = stored.requirements[requirement["key"]]
            if stored.rules_of(row) == requirement["rules"]:
                continue
            outdated += [rule.pk for rule in stored.rules.get(row.pk, ())]
            new += [DataRule(requirement=row, **rule) for rule in requirement["rules"]]
    for start in range(0, len(outdated), CHUNK):
        DataRule.objects.filter(pk__in=outdated[start : start + CHUNK]).delete()
    DataRule.objects.bulk_create(new)


def _write_penalties(planned: Sequence[SaveResult]) -> None:
    """Replace the penalties of the templates whose penalties have changed."""
    new: list[BadgePenalty] = []
    rules: list[PenaltyDataRule] = []
    links: list[PenaltyRequirement] = []
    outdated: list[uuid.UUID] = []
    for item in planned:
        stored, wanted = _stored(item), item.document["penalties"]
        if stored.penalty_documents() == wanted:
            continue
        outdated += [row.pk for row in stored.penalties]
        for penalty in wanted:
            row = BadgePenalty(template=stored.template, event_type=penalty["event_type"])
            new.append(row)
            rules += [PenaltyDataRule(penalty=row, **rule) for rule in penalty["rules"]]
            reset = [stored.requirements[key] for key in penalty["requirements"]]
            links += [PenaltyRequirement(penalty=row, requirement=requirement) for requirement in reset]
    for start in range(0, len(outdated), CHUNK):
        BadgePenalty.objects.filter(pk__in=outdated[start : start + CHUNK]).delete()
    BadgePenalty.objects.bulk_create(new)
    PenaltyDataRule.objects.bulk_create(rules)
    PenaltyRequirement.objects.bulk_create(links)


def _write_revisions(planned: Sequence[SaveResult], author: Any) -> None:
    """Write a revision of each template, and make it the current one."""
    if not planned:
        return
    revisions = []
    for item in planned:
        before = _stored(item).template.current_revision
        revisions.append(
            TemplateRevision(
                template=_stored(item).template,
                number=before.number + 1 if before else 1,
                document=document_text(item.document),
                is_active=item.document["is_active"],
                author=author,
            )
        )
    TemplateRevision.objects.bulk_create(revisions)
    # Read back rather than returned by the insert, which MySQL cannot do.
    written = TemplateRevision.objects.filter(uuid__in=[revision.uuid for revision in revisions])
    by_template = {revision.template_id: revision for revision in written}
    for item in planned:
        template = _stored(item).template
        template.current_revision = by_template[template.pk]
    newest = TemplateRevision.objects.filter(template=OuterRef("pk")).order_by("-number")
    BadgeTemplate.objects.filter(pk__in=by_template).update(current_revision=Subquery(newest.values("pk")[:1]))


def _stored(item: SaveResult) -> StoredTemplate:
    assert item.stored is not None, "templates are created before anything else is written"
    return item.stored
