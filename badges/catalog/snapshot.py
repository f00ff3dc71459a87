"""
The compiled catalog: the requirements of all active templates, indexed for matching events.

It is compiled once and cached in the process. A version number in the database tells when to compile it anew; reading
the number costs one statement. A template with a rule that cannot be compiled is left out as a whole, and the log names
it. Otherwise a badge could be awarded on half of its requirements.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max

from badges.catalog import event_types
from badges.catalog.models import BadgeRequirement, BadgeTemplate, CatalogVersion, DataRule, TemplateIssuer
from badges.rules import DataRule as CompiledRule
from badges.rules import RuleError, RuleIndex, RuleSet, compile_rule

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A template for decisions. ``requirements``: (id, group); ``issuers``: (provider, organization, its template)."""

    id: int
    uuid: uuid.UUID
    slug: str
    revision_id: int
    award_once: bool
    requirements: Sequence[tuple[int, str | None]]
    issuers: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class CompiledRequirement:
    """A requirement and the template it belongs to."""

    id: int
    template: CompiledTemplate


@dataclass(frozen=True)
class Snapshot:
    """All active templates at one version of the catalog, indexed by event type and by the values in their rules."""

    version: int
    definitions: Mapping[str, event_types.EventDefinition] = field(default_factory=dict)
    indexes: Mapping[str, RuleIndex] = field(default_factory=dict)

    def matching(self, event_type: str, subject: Any) -> list[CompiledRequirement]:
        """Return the requirements whose rules hold for an event's single data object."""
        index = self.indexes.get(event_type)
        return index.matching(subject) if index is not None else []


_lock = threading.Lock()
_cached: Snapshot | None = None
_cached_definitions: object = None


def current() -> Snapshot:
    """Return the snapshot of the current catalog. It costs one statement, unless the catalog has changed."""
    global _cached, _cached_definitions
    version = _version()
    configured = event_types.configured()
    cached = _cached
    if cached is not None and cached.version == version and _cached_definitions is configured:
        return cached
    with _lock:
        _cached, _cached_definitions = _compile_until_unchanged(version), configured
        return _cached


def _version() -> int:
    return CatalogVersion.objects.filter(id=1).values_list("number", flat=True).first() or 0


def _compile_until_unchanged(version: int) -> Snapshot:
    """Compile the catalog; again when it was changed between the statements that read it."""
    while True:
        snapshot = _compile(version)
        after = _version()
        if after == version:
            return snapshot
        version = after


def _compile(version: int) -> Snapshot:
    definitions = event_types.configured()
    rules, broken = _load_rules(definitions)
    templates = _load_templates(broken)
    entries: dict[str, list[tuple[RuleSet, CompiledRequirement]]] = {}
    rows = _live_requirements().values_list("id", "template_id", "event_type")
    for requirement_id, template_id, event_type in rows:
        if template_id in templates and event_type in definitions:
            requirement = CompiledRequirement(requirement_id, templates[template_id])
            entries.setdefault(event_type, []).append((RuleSet(rules.get(requirement_id, ())), requirement))
    return Snapshot(version, definitions, {event_type: RuleIndex(found) for event_type, found in entries.items()})


def _live_requirements() -> Any:
    return BadgeRequirement.objects.filter(
        archived_at=None, template__is_active=True, template__archived_at=None
    ).order_by("id")


def _load_rules(
    definitions: Mapping[str, event_types.EventDefinition],
) -> tuple[dict[int, list[CompiledRule]], set[int]]:
    """Return the compiled rules by requirement, and the ids of templates of which one could not be compiled."""
    compiled: dict[int, list[CompiledRule]] = {}
    broken: set[int] = set()
    rows = DataRule.objects.filter(
        requirement__archived_at=None, requirement__template__is_active=True, requirement__template__archived_at=None
    ).order_by("id")
    columns = ("requirement_id", "requirement__template_id", "requirement__event_type", "path", "operator", "value")
    for requirement_id, template_id, event_type, path, operator, value in rows.values_list(*columns):
        definition = definitions.get(event_type)
        if definition is None:
            continue
        try:
            rule = compile_rule(definition.subject_shape, path, operator, value)
        except RuleError as error:
            broken.add(template_id)
            log.error("Template %s is left out: requirement %s: %s", template_id, requirement_id, error)
        else:
            compiled.setdefault(requirement_id, []).append(rule)
    return compiled, broken


def _load_templates(broken: set[int]) -> dict[int, CompiledTemplate]:
    demanded: dict[int, list[tuple[int, str | None]]] = {}
    for requirement_id, template_id, group in _live_requirements().values_list("id", "template_id", "group"):
        demanded.setdefault(template_id, []).append((requirement_id, group or None))
    issued: dict[int, list[tuple[str, str, str]]] = {}
    issuers = TemplateIssuer.objects.filter(template__is_active=True).order_by("provider")
    columns = ("template_id", "provider", "organization", "external_template")
    for template_id, *target in issuers.values_list(*columns):
        issued.setdefault(template_id, []).append((target[0], target[1], target[2]))
    templates = BadgeTemplate.objects.filter(is_active=True, archived_at=None).order_by("id")
    compiled = {}
    for template in templates.annotate(revision=Max("revisions__id")):
        if template.id in broken:
            continue
        if template.revision is None:
            log.error("Template %s is left out: it has no revision; save it again.", template.id)
            continue
        compiled[template.id] = CompiledTemplate(
            id=template.id,
            uuid=template.uuid,
            slug=template.slug,
            revision_id=template.revision,
            award_once=template.award_once,
            requirements=tuple(demanded.get(template.id, ())),
            issuers=tuple(issued.get(template.id, ())),
        )
    return compiled
