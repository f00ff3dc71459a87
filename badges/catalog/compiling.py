"""
Compiling documents of templates: from the text of a revision, or a draft, to rules that can be asked about events.

Nothing here reads tables. Whoever compiles a stored template passes the ids of its rows.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from badges.catalog.criteria import compile_criteria
from badges.catalog.documents import Document, demands
from badges.catalog.event_types import EventDefinition
from badges.catalog.expiry import read_expiry
from badges.catalog.interests import NO_ROW, CompiledTemplate, Interest
from badges.rules import Criteria, DataRule, RuleSet, compile_rule


class Compiler:
    """
    Compiles many documents for the same event definitions and kinds of interests.

    Equal rules are compiled once: many templates ask whether a learner is passing. So a compiler is used for one
    catalog and then dropped.
    """

    def __init__(self, definitions: Mapping[str, EventDefinition], kinds: Sequence[type[Interest]]):
        self._definitions = definitions
        self._kinds = kinds
        self._rules: dict[tuple[Any, ...], DataRule] = {}
        self._event_types: dict[frozenset[str | None], frozenset[str | None]] = {}  # one object for equal sets

    def compile_text(
        self,
        text: str,
        *,
        template_id: int,
        revision_id: int,
        row_ids: Mapping[str, int],
        counts_from: dt.datetime | None,
        may_be_reset: Collection[int] = (),
    ) -> CompiledTemplate:
        """Compile the document of a stored revision. Raises RuleError or CriteriaError when it is no longer usable."""
        return self.compile(
            json.loads(text),
            template_id=template_id,
            revision_id=revision_id,
            row_ids=row_ids,
            counts_from=counts_from,
            may_be_reset=may_be_reset,
        )

    def compile(
        self,
        document: Document,
        *,
        template_id: int = NO_ROW,
        revision_id: int = NO_ROW,
        row_ids: Mapping[str, int] | None = None,
        counts_from: dt.datetime | None = None,
        may_be_reset: Collection[int] = (),
    ) -> CompiledTemplate:
        """Compile a document in normal form; without ids it is a draft. Raises RuleError or CriteriaError."""
        ids = row_ids or {}
        groups = tuple([(entry["key"], entry["group"] or None) for entry in demands(document)])
        template = CompiledTemplate(
            id=template_id,
            revision_id=revision_id,
            uuid=uuid.UUID(document["uuid"]) if document["uuid"] else None,
            slug=document["slug"],
            award_once=document["award_once"],
            expiry=read_expiry(document.get("expiry")),
            row_ids=ids,
            groups=groups,
            issuers=tuple([(item["provider"], item["organization"], item["template"]) for item in document["issuers"]]),
            requirements=tuple([(ids[key], group) for key, group in groups]) if row_ids is not None else (),
            criteria=self._compile_criteria(document["criteria"]),
            counts_from=counts_from,
            may_be_reset=frozenset(may_be_reset),
        )
        interests: list[Interest] = []
        named: set[str | None] = set()

        def compile_rules(event_type: str, rules: Sequence[Document]) -> RuleSet | None:
            named.add(event_type)
            return self._compile_rules(event_type, rules)

        for kind in self._kinds:
            interests += kind.of_template(document, template, compile_rules)
        template.interests = tuple(interests)
        if template.criteria is not None:
            named |= template.criteria.event_types | {each.event_type for each in template.criteria.triggers}
            if template.criteria.figures:
                named.add(None)  # figures may come from any type
        template.event_types = self._event_types.setdefault(frozenset(named), frozenset(named))
        return template

    def _compile_criteria(self, document: Document | None) -> Criteria | None:
        # An event type that is not configured any more would never be seen, and so satisfy every $not.
        return compile_criteria(document, self._definitions) if document is not None else None

    def _compile_rules(self, event_type: str, rules: Sequence[Document]) -> RuleSet | None:
        definition = self._definitions.get(event_type)
        if definition is None:
            return None
        return RuleSet([self._compile_rule(definition, rule) for rule in rules])

    def _compile_rule(self, definition: EventDefinition, rule: Document) -> DataRule:
        path, operator, value = rule["path"], rule["operator"], rule["value"]
        if isinstance(value, (list, dict)):
            return compile_rule(definition.subject_shape, path, operator, value)
        # With the type of the value: 1 and true are equal in Python.
        key = (definition.type, path, operator, type(value), value)
        known = self._rules.get(key)
        if known is None:
            known = self._rules[key] = compile_rule(definition.subject_shape, path, operator, value)
        return known
