"""
Translation between Credly's terms and ours: pure functions.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from badges.issuers import answers
from badges.issuers.base import BadgeFact, Fact, TemplateFact
from badges.issuers.models import TemplateState

GONE = frozenset({"revoked", "replaced"})  # the earner does not hold such a badge (any more)

DELETED = "deleted"  # our own word: an event says that the badge is deleted

# How a provider may say that there is such a badge already.
_SAYS_DUPLICATE = re.compile(r"\b(already|duplicate|taken|unique)\b")


@dataclass(frozen=True)
class ExternalBadge:
    """A badge as Credly describes it, as far as we care."""

    id: uuid.UUID
    state: str
    earner: str | None
    template: str | None
    issued_at: dt.datetime | None
    url: str
    state_at: dt.datetime | None = None

    def may_be(self, *, earner: str, template: str) -> bool:
        """
        Whether a badge that was looked up can be the one we asked for.

        Credly was asked with a filter, but a filter that is ignored must not bind us to another person's badge: the
        earner has to be named and right, the template right where it is named.
        """
        return self.state not in GONE and self.earner == earner and self.template in (None, template)


def names(full_name: str, *, single_name_last: str) -> tuple[str, str]:
    """
    Split a name into first and last, which Credly both requires: the last word is the last name.

    A single word, as most Chinese names are written, is a first name with ``single_name_last`` after it.
    """
    words = _printable(full_name).split()
    if len(words) < 2:
        return " ".join(words), single_name_last
    return " ".join(words[:-1]), words[-1]


def issue_body(
    *,
    email: str,
    first_name: str,
    last_name: str,
    template: str,
    awarded_at: dt.datetime,
    earner: str,
    valid_until: dt.datetime | None = None,
) -> dict[str, str]:
    """
    Return what Credly wants to know to issue a badge.

    ``earner`` is our stable, opaque id of the learner. ``valid_until`` is when the badge ends, None if it has no end.
    """
    body = {
        "recipient_email": email,
        "issued_to_first_name": first_name,
        "issued_to_last_name": last_name,
        "badge_template_id": template,
        "issued_at": time_text(awarded_at),
        "issuer_earner_id": earner,
    }
    return body if valid_until is None else {**body, "expires_at": time_text(valid_until)}


def blames_a_field(refusal: str, fields: Collection[str]) -> bool:
    """
    Return whether the text of a refusal says that one of these fields, which we sent, has a wrong value.

    That the learner has the badge already may also be said of a field, such as the address. Then none is wrong.
    """
    said = refusal.lower().replace("_", " ")
    return any(field.replace("_", " ") in said for field in fields) and not _SAYS_DUPLICATE.search(said)


def time_text(moment: dt.datetime) -> str:
    """Write a time as in Credly's examples: ``2014-04-01 09:41:00 +0000``."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S %z")


def badge_from(described: Any) -> ExternalBadge:
    """Read Credly's description of a badge; ValueError when it names no badge."""
    if not isinstance(described, dict):
        raise ValueError("the answer describes no badge")
    return ExternalBadge(
        id=uuid.UUID(str(described.get("id"))),
        state=str(described.get("state") or "pending"),
        earner=answers.text_of(described.get("issuer_earner_id")),
        template=_template(described),
        issued_at=answers.time_of(described.get("issued_at")),
        url=answers.web_address_of(described.get("badge_url")),
        state_at=answers.time_of(described.get("state_updated_at")) or answers.time_of(described.get("updated_at")),
    )


def badges_from(page: Any) -> Iterator[ExternalBadge]:
    """Read a page of badges, passing over what describes none."""
    for row in _rows(page):
        try:
            yield badge_from(row)
        except ValueError:
            continue


def template_from(described: Any, *, management_url: str = "") -> TemplateFact:
    """
    Read Credly's description of a template; ValueError when it names none.

    ``management_url`` is the page of a template at Credly, with ``{}`` for its id.
    """
    if not isinstance(described, dict):
        raise ValueError("the answer describes no template")
    template, state = uuid.UUID(str(described.get("id"))), str(described.get("state"))
    if state not in TemplateState.values or state == TemplateState.GONE:
        raise ValueError("the answer describes a template in an unknown state")
    return TemplateFact(
        id=str(template),
        state=TemplateState(state),
        at=answers.time_of(described.get("updated_at")),
        name=str(described.get("name") or ""),
        description=str(described.get("description") or ""),
        image_url=_image(described),
        management_url=management_url.format(template) if management_url else "",
    )


def templates_from(page: Any, *, management_url: str = "") -> Iterator[TemplateFact]:
    """Read a page of templates, passing over what describes none."""
    for row in _rows(page):
        try:
            yield template_from(row, management_url=management_url)
        except ValueError:
            continue


def event_time(described: Any) -> dt.datetime | None:
    """Return when an event happened by Credly's clock."""
    return answers.time_of(described.get("occurred_at")) if isinstance(described, dict) else None


def events_from(page: Any) -> list[dict[str, Any]]:
    """Return the events of a page, passing over what is none."""
    return [row for row in _rows(page) if isinstance(row, dict)]


def fact_of_event(described: Any, *, management_url: str = "") -> Fact | str | None:
    """
    Return what an event tells; None when it is nothing that is of use here.

    The id of a template: the event is about it, and does not describe it, so that it has to be asked for.
    """
    happened_at = event_time(described)
    if happened_at is None:
        return None
    event_type = str(described.get("event_type") or "")
    if event_type.startswith("badge_template."):
        return _fact_of_template(described, event_type, happened_at, management_url)
    if event_type.startswith("badge."):
        return _fact_of_badge(described, event_type, happened_at)
    return None


def _fact_of_template(
    described: dict[str, Any], event_type: str, happened_at: dt.datetime, management_url: str
) -> Fact | str | None:
    inside = described.get("badge_template")
    template = _uuid(inside.get("id") if isinstance(inside, dict) else described.get("badge_template_id"))
    if template is None:
        return None
    if event_type == "badge_template.deleted":
        return TemplateFact(id=template, state=TemplateState.GONE, at=happened_at)
    try:
        fact = template_from(inside, management_url=management_url)
    except ValueError:
        return template
    return fact if fact.at is not None else replace(fact, at=happened_at)


def _fact_of_badge(described: dict[str, Any], event_type: str, happened_at: dt.datetime) -> BadgeFact | None:
    inside = described.get("badge")
    badge = _uuid(inside.get("id") if isinstance(inside, dict) else described.get("badge_id"))
    if badge is None:
        return None
    if event_type == "badge.deleted":
        return BadgeFact(badge, DELETED, happened_at)
    if not isinstance(inside, dict) or not isinstance(inside.get("state"), str):
        return None
    read = badge_from(inside)
    return BadgeFact(badge, read.state, happened_at, read.earner, read.template, read.url, read.issued_at)


def _rows(page: Any) -> list[Any]:
    rows = page.get("data") if isinstance(page, dict) else None
    return rows if isinstance(rows, list) else []


def _image(described: dict[str, Any]) -> str:
    """Return the address of a template's image, which older descriptions have inside of an object."""
    image = described.get("image")
    return str(described.get("image_url") or (image.get("url") if isinstance(image, dict) else "") or "")


def _uuid(value: Any) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _printable(name: str) -> str:
    """Take out NUL and other control characters; unlike those, joiners and direction marks are part of names."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in name)


def _template(described: dict[str, Any]) -> str | None:
    template = described.get("badge_template")
    return answers.text_of(template.get("id") if isinstance(template, dict) else described.get("badge_template_id"))
