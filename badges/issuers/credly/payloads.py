"""
Translation between Credly's terms and ours: pure functions.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

GONE = frozenset({"revoked", "replaced"})  # the earner does not hold such a badge (any more)

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
        earner=_text(described.get("issuer_earner_id")),
        template=_template(described),
        issued_at=_time(described.get("issued_at")),
        url=_web_address(described.get("badge_url")),
    )


def badges_from(page: Any) -> Iterator[ExternalBadge]:
    """Read a page of badges, passing over what describes none."""
    rows = page.get("data") if isinstance(page, dict) else None
    for row in rows if isinstance(rows, list) else []:
        try:
            yield badge_from(row)
        except ValueError:
            continue


def _printable(name: str) -> str:
    """Take out NUL and other control characters; unlike those, joiners and direction marks are part of names."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in name)


def _template(described: dict[str, Any]) -> str | None:
    template = described.get("badge_template")
    return _text(template.get("id") if isinstance(template, dict) else described.get("badge_template_id"))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _time(value: Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _web_address(value: Any) -> str:
    """Only what may be shown as a link."""
    text = str(value or "")
    return text if re.fullmatch(r"https?://[!-~]{1,490}", text) else ""
