"""Reading stored templates as documents, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import F, Max, QuerySet

from badges.catalog import event_types
from badges.catalog.documents import Document
from badges.catalog.models import BadgeRequirement, BadgeTemplate, DataRule, TemplateIssuer, TemplateRevision
from badges.rules import RuleError


@dataclass
class StoredTemplate:
    """The rows of one template, with archived requirements. ``revision`` is the newest one: (number, document)."""

    template: BadgeTemplate
    issuers: dict[str, TemplateIssuer] = field(default_factory=dict)
    requirements: dict[str, BadgeRequirement] = field(default_factory=dict)
    rules: dict[int, list[DataRule]] = field(default_factory=dict)
    revision: tuple[int, str] = (0, "")

    def document(self) -> Document:
        """Return the rows as a document in normal form."""
        template = self.template
        live = sorted(self.requirements.items())
        return {
            "slug": template.slug,
            "uuid": str(template.uuid),
            "name": template.name,
            "description": template.description,
            "image_url": template.image_url,
            "is_active": template.is_active,
            "award_once": template.award_once,
            "issuers": [_issuer_document(issuer) for _, issuer in sorted(self.issuers.items())],
            "requirements": [self._requirement_document(row) for _, row in live if row.archived_at is None],
            "penalties": [],
            "criteria": None,
        }

    def _requirement_document(self, row: BadgeRequirement) -> Document:
        return {
            "key": row.key,
            "event_type": row.event_type,
            "group": row.group or None,
            "description": row.description,
            "rules": self.rules_of(row),
        }

    def rules_of(self, row: BadgeRequirement) -> list[Document]:
        """Return the rules of a requirement, which may be archived."""
        return [_rule_document(row.event_type, rule) for rule in self.rules.get(row.pk, ())]


def load(templates: QuerySet[BadgeTemplate] | Iterable[BadgeTemplate]) -> dict[int, StoredTemplate]:
    """Return templates with all their rows, by id. It costs four statements more than the templates themselves."""
    stored = {template.pk: StoredTemplate(template) for template in templates}
    for issuer in TemplateIssuer.objects.filter(template_id__in=stored):
        stored[issuer.template_id].issuers[issuer.provider] = issuer
    owners = {}
    for requirement in BadgeRequirement.objects.filter(template_id__in=stored):
        stored[requirement.template_id].requirements[requirement.key] = requirement
        owners[requirement.pk] = requirement.template_id
    for rule in DataRule.objects.filter(requirement__template_id__in=stored).order_by("id"):
        stored[owners[rule.requirement_id]].rules.setdefault(rule.requirement_id, []).append(rule)
    newest = TemplateRevision.objects.filter(template_id__in=stored).annotate(last=Max("template__revisions__number"))
    for template_id, number, text in newest.filter(number=F("last")).values_list("template_id", "number", "document"):
        stored[template_id].revision = (number, text)
    return stored


def _issuer_document(issuer: TemplateIssuer) -> Document:
    return {
        "provider": issuer.provider,
        "organization": issuer.organization,
        "template": issuer.external_template,
    }


def _rule_document(event_type: str, rule: DataRule) -> Document:
    """Return a rule in normal form; as it is stored, when it cannot be compiled here."""
    path, operator, value = rule.path, rule.operator, rule.value
    definition = event_types.configured().get(event_type)
    if definition is not None:
        try:
            compiled = definition.compile(path, operator, value)
            path, operator, value = compiled.path, compiled.operator, compiled.value
        except RuleError:
            pass  # its event type or an ignored key path has changed since: it is shown, and refused when it is saved
    return {"path": path, "operator": operator, "value": value}
