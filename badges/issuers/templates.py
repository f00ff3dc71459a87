"""
What providers say about their templates: writing it down, and letting our templates follow.

A template at a provider is a copy here (``ProviderTemplate``). Our templates follow it in three ways, and only through
``catalog.editing``, so each change has a revision:

* one that is first seen in use there, and that no template of ours names, gets an inactive template of ours;
* a changed name or description is taken over, unless somebody has edited it here;
* one that is archived or gone there is archived here. Nothing is ever deleted, and nothing restored from the archive.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import unicodedata
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from badges.catalog import editing, event_types, queries
from badges.catalog.documents import Document
from badges.catalog.editing import Draft
from badges.catalog.models import BadgeTemplate, TemplateIssuer
from badges.catalog.validation import read_template
from badges.catalog.versions import editing_transaction
from badges.inserts import insert
from badges.issuers.base import Issuer, TemplateFact
from badges.issuers.models import ProviderTemplate, TemplateState

log = logging.getLogger(__name__)

USABLE = (TemplateState.ACTIVE, TemplateState.DRAFT)
ENDED = (TemplateState.ARCHIVED, TemplateState.GONE)

# Room for the id behind it, in a slug of at most 150 characters.
SLUG_LENGTH = 100

_KEY = ("provider", "organization", "external_id")
_WRITTEN = ("name", "description", "state", "image_url", "management_url", "changed_at", "seen_in", "taken_over_at")

# The outcomes of a template, which runs count.
TAKEN_OVER, CHANGED, ARCHIVED, UNCHANGED, REFUSED = "taken over", "changed", "archived", "unchanged", "refused"


def write_templates(
    issuer: Issuer,
    organization: str,
    facts: Sequence[TemplateFact],
    *,
    now: dt.datetime,
    seen_in: uuid.UUID | None = None,
) -> Counter[str]:
    """
    Write what a provider says about templates of an organization, and let ours follow; return the outcomes.

    ``seen_in`` is the run that has read its list. A fact that is older than what is written here changes nothing. The
    number of statements does not depend on the number of facts.
    """
    newest: dict[str, TemplateFact] = {}
    for fact in facts:
        known = newest.get(fact.id)
        if known is None or _time(fact, now) >= _time(known, now):
            newest[fact.id] = fact
    if not newest:
        return Counter()
    with editing_transaction():
        return _Writer(issuer, organization, newest, now, seen_in).write()


def plan_templates(
    issuer: Issuer, organization: str, facts: Sequence[TemplateFact], *, now: dt.datetime, seen_in: uuid.UUID
) -> Counter[str]:
    """Return what ``write_templates`` would do. Only the mark of the run that has seen the templates is written."""
    with transaction.atomic():
        outcomes = write_templates(issuer, organization, facts, now=now)
        transaction.set_rollback(True)
    of_organization(issuer.slug, organization).filter(external_id__in={fact.id for fact in facts}).update(
        seen_in=seen_in
    )
    return outcomes


def of_organization(provider: str, organization: str) -> Any:
    """Return the query for the templates of an organization at a provider."""
    return ProviderTemplate.objects.filter(provider=provider, organization=organization)


def at_providers(
    templates: Collection[BadgeTemplate], issuers: Mapping[str, Issuer]
) -> dict[int, list[ProviderTemplate]]:
    """
    Return the templates at providers that templates of ours name, by the id of ours; two statements.

    ``issuers`` are the installed ones, by slug.
    """
    rows = TemplateIssuer.objects.filter(template__in=[template.pk for template in templates], provider__in=issuers)
    named: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in rows.order_by("provider"):
        spellings = issuers[row.provider].spellings
        for place in product(spellings(row.organization), spellings(row.external_template)):
            named[row.provider, *place].append(row.template_id)
    found: dict[int, list[ProviderTemplate]] = defaultdict(list)
    copies = ProviderTemplate.objects.filter(
        provider__in={provider for provider, _, _ in named}, external_id__in={spelling for _, _, spelling in named}
    )
    for copy in copies.order_by("provider"):
        for template_id in named.get((copy.provider, copy.organization, copy.external_id), ()):
            found[template_id].append(copy)
    return found


@dataclass(frozen=True)
class _Use:
    """A template of ours that names a template at the provider."""

    template: BadgeTemplate
    external_id: str


@dataclass
class _Writer:
    """Writes the facts of one organization, in the lock of editors."""

    issuer: Issuer
    organization: str
    facts: dict[str, TemplateFact]
    now: dt.datetime
    seen_in: uuid.UUID | None

    def write(self) -> Counter[str]:
        copies = {
            row.external_id: row
            for row in of_organization(self.issuer.slug, self.organization).filter(external_id__in=self.facts)
        }
        uses = self._uses()
        used = {use.external_id for use in uses}
        before = {external_id: (row.name, row.description) for external_id, row in copies.items()}
        outcomes = dict.fromkeys(self.facts, UNCHANGED)
        news = [fact for fact in self.facts.values() if self._is_news(fact, copies.get(fact.id))]
        for fact in news:
            copies[fact.id] = self._copied(fact, copies.get(fact.id))
        drafts, taken_over = self._new_drafts(copies, used, outcomes)
        drafts += self._followed([use for use in uses if use.external_id in before], before, copies, outcomes)
        if drafts:
            editing.save(drafts, author=None, now=self.now)
        self._archive(uses, copies, outcomes)
        for external_id in {*used, *taken_over} & copies.keys():
            copies[external_id].taken_over_at = copies[external_id].taken_over_at or self.now
        self._write_copies(copies.values())
        self._write_images(uses if not taken_over else self._uses(), copies)
        return Counter(outcomes.values())

    def _is_news(self, fact: TemplateFact, copy: ProviderTemplate | None) -> bool:
        if copy is None or copy.changed_at is None or fact.at is None or fact.at > copy.changed_at:
            return True
        # Of two facts of one moment the end is the later one.
        return fact.at == copy.changed_at and (fact.state in ENDED or copy.state not in ENDED)

    def _copied(self, fact: TemplateFact, copy: ProviderTemplate | None) -> ProviderTemplate:
        """Return the copy as the fact says."""
        if copy is None:
            copy = ProviderTemplate(
                provider=self.issuer.slug, organization=self.organization, external_id=fact.id, created_at=self.now
            )
            copy.name = fact.id[:255]  # all that is known of one that is gone
        copy.state, copy.changed_at = fact.state, _time(fact, self.now)
        if fact.state != TemplateState.GONE:
            copy.name = line(fact.name)[:255] or fact.id[:255]
            copy.description = text(fact.description)
            copy.image_url, copy.management_url = web_address(fact.image_url), web_address(fact.management_url)
        return copy

    def _uses(self) -> list[_Use]:
        """Return the templates of ours that name these templates; one statement."""
        spelled = {spelling: each for each in self.facts for spelling in self.issuer.spellings(each)}
        rows = TemplateIssuer.objects.filter(
            provider=self.issuer.slug,
            organization__in=self.issuer.spellings(self.organization),
            external_template__in=spelled,
        )
        return [
            _Use(row.template, spelled[row.external_template])
            for row in rows.select_related("template").order_by("template_id")
        ]

    def _new_drafts(
        self, copies: Mapping[str, ProviderTemplate], used: Collection[str], outcomes: dict[str, str]
    ) -> tuple[list[Draft], set[str]]:
        """Return the documents of new templates, and the ids there of what they are made for; one statement."""
        wanted = [
            copy
            for external_id, copy in copies.items()
            if external_id not in used and copy.taken_over_at is None and copy.state in USABLE
        ]
        if not wanted:
            return [], set()
        slugs = {copy.external_id: _slugs(copy) for copy in wanted}
        named = {slug for each in slugs.values() for slug in each}
        taken = set(BadgeTemplate.objects.filter(slug__in=named).order_by().values_list("slug", flat=True))
        drafts, made = [], set()
        definitions = event_types.configured()
        for copy in wanted:
            slug = next((slug for slug in slugs[copy.external_id] if slug not in taken), None)
            document, problems = (
                (None, ["no slug is free"])
                if slug is None
                else read_template(self._entry(copy, slug), definitions=definitions)
            )
            if document is None or slug is None:
                log.warning("No template was made for %s of %s: %s", copy.external_id, self.issuer.slug, problems)
                outcomes[copy.external_id] = REFUSED
                continue
            taken.add(slug)
            made.add(copy.external_id)
            drafts.append(Draft("", document))
            outcomes[copy.external_id] = TAKEN_OVER
        return drafts, made

    def _entry(self, copy: ProviderTemplate, slug: str) -> Document:
        place = {"provider": self.issuer.slug, "organization": self.organization, "template": copy.external_id}
        return {
            "slug": slug,
            "name": copy.name,
            "description": copy.description,
            "requirements": [],
            "issuers": [place],
        }

    def _followed(
        self,
        uses: Sequence[_Use],
        before: Mapping[str, tuple[str, str]],
        copies: Mapping[str, ProviderTemplate],
        outcomes: dict[str, str],
    ) -> list[Draft]:
        """Return the documents of templates that take over a new name or description; not of archived ones."""

        def now_there(use: _Use) -> tuple[str, str]:
            return copies[use.external_id].name, copies[use.external_id].description

        changed = [use for use in uses if before[use.external_id] != now_there(use) and not use.template.archived_at]
        if not changed:
            return []
        stored = queries.load(BadgeTemplate.objects.filter(pk__in={use.template.pk for use in changed}))
        drafts = []
        for use in changed:
            document = stored[use.template.pk].document()
            texts = zip(("name", "description"), before[use.external_id], now_there(use), strict=True)
            news = {key: there for key, was, there in texts if _lines(document[key]) == was and was != there}
            if news:
                drafts.append(Draft("", {**document, **news}))
                outcomes[use.external_id] = CHANGED
        return drafts

    def _archive(self, uses: Sequence[_Use], copies: Mapping[str, ProviderTemplate], outcomes: dict[str, str]) -> None:
        ended = [
            use
            for use in uses
            if not use.template.archived_at and use.external_id in copies and copies[use.external_id].state in ENDED
        ]
        if not ended:
            return
        rows = BadgeTemplate.objects.filter(pk__in={use.template.pk for use in ended})
        editing.archive_templates(rows, author=None, now=self.now)
        for use in ended:
            outcomes[use.external_id] = ARCHIVED
            state = copies[use.external_id].get_state_display()
            log.info("The template %s was archived: at %s it is %s.", use.template.slug, self.issuer.slug, state)

    def _write_copies(self, copies: Collection[ProviderTemplate]) -> None:
        if self.seen_in is not None:
            for copy in copies:
                copy.seen_in = self.seen_in
        insert(sorted(copies, key=lambda copy: copy.external_id), unique=_KEY, update=_WRITTEN)

    def _write_images(self, uses: Sequence[_Use], copies: Mapping[str, ProviderTemplate]) -> None:
        """Write the images of providers to our templates. Of several providers the first with an image counts."""
        changed = {
            use.template.pk: copies[use.external_id].image_url
            for use in uses
            if use.external_id in copies and use.template.provider_image_url != copies[use.external_id].image_url
        }
        if not changed:
            return
        first = TemplateIssuer.objects.filter(template__in=changed, provider__lt=self.issuer.slug)
        elsewhere = set(first.exclude(template__provider_image_url="").order_by().values_list("template_id", flat=True))
        rows = [BadgeTemplate(pk=pk, provider_image_url=image) for pk, image in changed.items() if pk not in elsewhere]
        BadgeTemplate.objects.bulk_update(rows, ["provider_image_url"])


def _time(fact: TemplateFact, now: dt.datetime) -> dt.datetime:
    return fact.at or now


def _slugs(copy: ProviderTemplate) -> list[str]:
    """Return the slugs that a new template may get, the best first."""
    name = slugify(copy.name)[:SLUG_LENGTH].strip("-_")
    by_id = f"{copy.provider}-{slugify(copy.external_id)[:SLUG_LENGTH]}"
    return [name, f"{name}-{slugify(copy.external_id)[:8]}", by_id] if name else [by_id]


# --- texts of providers ----------------------------------------------------------------------------------------------


def line(given: str) -> str:
    """Return a text of a provider on one line, without what a database cannot store or a page cannot show."""
    return " ".join(text(given).split())


def text(given: str) -> str:
    """Return a text of a provider without NUL, lone surrogates and other control characters but line breaks."""
    kept = (each for each in given if each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cs"))
    return "".join(kept).strip()


def _lines(given: str) -> str:
    """Return a text whose lines end as those of ``text``. Browsers end them with two characters."""
    return given.replace("\r\n", "\n")


def web_address(given: str) -> str:
    """Return an address that a browser may load or open; blank for one with another scheme or odd characters."""
    return given if re.fullmatch(r"https?://[!-~]{1,490}", given) and not set(given) & set("\"'<>\\`") else ""
