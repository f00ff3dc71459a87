"""Reading stored templates, many at a time: as documents, and by their names."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from badges.catalog import event_types
from badges.catalog.documents import CRITERIA_KEY, Document, sorted_penalties
from badges.catalog.models import BadgePenalty, BadgeRequirement, BadgeTemplate, DataRule, TemplateIssuer
from badges.rules import RuleError


@dataclass
class StoredTemplate:
    """One template with its current revision, and the rows that repeat the revision, archived requirements included."""

    template: BadgeTemplate
    issuers: dict[str, TemplateIssuer] = field(default_factory=dict)
    requirements: dict[str, BadgeRequirement] = field(default_factory=dict)
    rules: dict[int, list[DataRule]] = field(default_factory=dict)
    penalties: list[BadgePenalty] = field(default_factory=list)

    def document(self) -> Document:
        """Return the document of the current revision. The rows are read only where there is no revision yet."""
        revision = self.template.current_revision
        if revision is None:
            return self.rows_document()
        document: Document = json.loads(revision.document)
        document.setdefault("expiry", None)  # older revisions do not have the key
        for part in (*document["requirements"], *document["penalties"]):
            part["rules"] = [_normal_rule(part["event_type"], rule) for rule in part["rules"]]
        document["penalties"] = sorted_penalties(document["penalties"])
        return document

    def rows_document(self) -> Document:
        """Return the document that the rows repeat. It differs from the revision's if rows were changed by hand."""
        template = self.template
        live = [row for _, row in sorted(self.requirements.items()) if row.archived_at is None]
        return {
            "slug": template.slug,
            "uuid": str(template.uuid),
            "name": template.name,
            "description": template.description,
            "image_url": template.image_url,
            "is_active": template.is_active,
            "award_once": template.award_once,
            "expiry": expiry_of(template),
            "issuers": [_issuer_document(issuer) for _, issuer in sorted(self.issuers.items())],
            "requirements": [self._requirement_document(row) for row in live if row.key != CRITERIA_KEY],
            "penalties": self.penalty_documents(),
            "criteria": self._criteria_document() if any(row.key == CRITERIA_KEY for row in live) else None,
        }

    def _criteria_document(self) -> Document | None:
        """Return the criteria document of a live row, which only the revision holds; empty when it has none."""
        revision = self.template.current_revision
        return None if revision is None else json.loads(revision.document)["criteria"] or {}

    def _requirement_document(self, row: BadgeRequirement) -> Document:
        return {
            "key": row.key,
            "event_type": row.event_type,
            "group": row.group or None,
            "description": row.description,
            "rules": self.rules_of(row),
        }

    def penalty_documents(self) -> list[Document]:
        """Return the penalties that the rows repeat."""
        return sorted_penalties(
            {
                "event_type": row.event_type,
                "requirements": [requirement.key for requirement in row.requirements.all()],
                "rules": [
                    _normal_rule(row.event_type, {"path": rule.path, "operator": rule.operator, "value": rule.value})
                    for rule in row.rules.all()
                ],
            }
            for row in self.penalties
        )

    def rules_of(self, row: BadgeRequirement) -> list[Document]:
        """Return the rules of a requirement, which may be archived."""
        rows = self.rules.get(row.pk, ())
        rules = [{"path": rule.path, "operator": rule.operator, "value": rule.value} for rule in rows]
        return [_normal_rule(row.event_type, rule) for rule in rules]


def load(templates: QuerySet[BadgeTemplate]) -> dict[int, StoredTemplate]:
    """Return templates with their current revisions and all their rows, by id; at most seven statements."""
    stored = {template.pk: StoredTemplate(template) for template in templates.select_related("current_revision")}
    for issuer in TemplateIssuer.objects.filter(template_id__in=stored):
        stored[issuer.template_id].issuers[issuer.provider] = issuer
    owners = {}
    for requirement in BadgeRequirement.objects.filter(template_id__in=stored):
        stored[requirement.template_id].requirements[requirement.key] = requirement
        owners[requirement.pk] = requirement.template_id
    for rule in DataRule.objects.filter(requirement__template_id__in=stored).order_by("id"):
        stored[owners[rule.requirement_id]].rules.setdefault(rule.requirement_id, []).append(rule)
    penalties = BadgePenalty.objects.filter(template_id__in=stored).order_by("id")
    for penalty in penalties.prefetch_related("requirements", "rules"):
        stored[penalty.template_id].penalties.append(penalty)
    return stored


def templates_named(names: Iterable[str]) -> dict[str, BadgeTemplate]:
    """
    Return templates by their names, which are slugs or UUIDs; one statement, or none.

    Of two templates the one whose slug a name is goes before the one whose UUID it is. Names that no template has are
    left out.
    """
    # Half a character, which JSON can hold, and the character 0 are in no slug, and not every database takes them.
    wanted = {name for name in names if "\0" not in name and not any("\ud800" <= char <= "\udfff" for char in name)}
    by_uuid = {name: found for name in wanted if (found := _uuid(name))}
    if not wanted:
        return {}
    rows = list(BadgeTemplate.objects.filter(Q(slug__in=wanted) | Q(uuid__in=by_uuid.values())).order_by())
    templates = {row.uuid: row for row in rows}
    found_by_uuid = {name: templates[found] for name, found in by_uuid.items() if found in templates}
    return found_by_uuid | {row.slug: row for row in rows if row.slug in wanted}


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def expiry_of(template: BadgeTemplate) -> Document | None:
    """Return what the current revision of a template says about its expiry, which no row repeats."""
    revision = template.current_revision
    return None if revision is None else json.loads(revision.document).get("expiry")


def _issuer_document(issuer: TemplateIssuer) -> Document:
    return {
        "provider": issuer.provider,
        "organization": issuer.organization,
        "template": issuer.external_template,
    }


def _normal_rule(event_type: str, rule: Document) -> Document:
    """Return a rule in normal form; as it is stored, when it cannot be compiled here."""
    definition = event_types.configured().get(event_type)
    if definition is None:
        return rule
    try:
        compiled = definition.compile(rule["path"], rule["operator"], rule["value"])
    except RuleError:
        # Its event type or the ignored key paths have changed since. It is shown, and refused when it is saved.
        return rule
    return {"path": compiled.path, "operator": compiled.operator, "value": compiled.value}
