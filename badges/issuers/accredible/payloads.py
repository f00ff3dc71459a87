"""
Translation between Accredible's terms and ours: pure functions.

Accredible calls a badge a *credential*, and its template a *group*. Days have no time of day there.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from badges.issuers import answers
from badges.issuers.base import TemplateFact
from badges.issuers.models import TemplateState

# The name under which Accredible keeps the id of our credential, in the credential's ``meta_data``.
OUR_ID = "lms_badges_credential"

# An id becomes part of addresses. Accredible's own are numbers; issuers may choose others.
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
# How Accredible says that the recipient has a credential of the group already.
_SAYS_DUPLICATE = re.compile(r"\b(already|duplicates?)\b")


@dataclass(frozen=True)
class ExternalBadge:
    """
    A credential as Accredible describes it, as far as we care.

    ``credential`` is the id of our credential that it was issued for, ``earner`` our id of the learner; None when it
    does not say. ``is_published`` is None in lists, which do not tell it.
    """

    id: str
    name: str
    email: str
    earner: str | None
    credential: str | None
    template: str | None
    is_published: bool | None
    issued_on: dt.date | None
    ends_on: dt.date | None
    url: str

    def state(self, today: dt.date) -> str:
        """Return its state: ``expired``, ``pending`` (not published), ``accepted``, or ``valid`` (one of the two)."""
        if self.ends_on is not None and self.ends_on <= today:
            return "expired"
        return {None: "valid", True: "accepted", False: "pending"}[self.is_published]

    def may_be(self, *, credential: str, earner: str, email: str, template: str, today: dt.date) -> bool:
        """
        Return whether a badge that was looked up can be that of our credential.

        One that was issued for a credential of ours is that one's and no other's. Any other was issued by somebody
        else: it has to be of the same person and group, and valid. Accredible was asked with a filter, but a filter
        that is ignored must not bind us to another person's badge.
        """
        if self.template not in (None, template):
            return False
        if self.credential is not None:
            return self.credential == credential
        is_theirs = self.earner == earner or (bool(email) and self.email == email.casefold())
        return is_theirs and self.state(today) != "expired"


def issue_body(
    *,
    credential: str,
    earner: str,
    email: str,
    full_name: str,
    template: str,
    name: str,
    awarded_at: dt.datetime,
    valid_until: dt.datetime | None = None,
) -> dict[str, Any]:
    """
    Return what Accredible wants to know to issue a badge.

    ``credential`` and ``earner`` are our stable, opaque ids of credential and learner. ``name`` is what the badge is
    called. ``valid_until`` is when the badge ends, None if it has no end.
    """
    described = {
        "recipient": {"name": _printable(full_name), "email": email, "id": earner},
        "group_id": int(template),
        "name": name,
        "issued_on": day_text(awarded_at),
        "complete": True,
        "meta_data": {OUR_ID: credential},
    }
    return {"credential": described if valid_until is None else {**described, "expired_on": day_text(valid_until)}}


def renew_body(issue: dict[str, Any]) -> dict[str, Any]:
    """Return the change that makes of an ended badge the one that ``issue`` asks for; without an end it has none."""
    wanted = issue["credential"]
    kept = {name: wanted[name] for name in ("recipient", "name", "issued_on", "meta_data")}
    return {"credential": {**kept, "expired_on": wanted.get("expired_on")}}


def end_body(moment: dt.datetime) -> dict[str, Any]:
    """Return the change that ends a badge on the day of ``moment``. Accredible has no other way to revoke one."""
    return {"credential": {"expired_on": day_text(moment)}}


def search_body(*, template: str, email: str = "", earner: str = "", page: int = 1) -> dict[str, Any]:
    """
    Return the question for the badges of a template, of the person with this address or with our id of a learner.

    Accredible's reference writes the filters of a recipient with a dot, and those of other calls as an object. Both are
    sent.
    """
    given = {"email": email, "id": earner}
    recipient = {name: value for name, value in given.items() if value}
    dotted = {f"recipient.{name}": value for name, value in recipient.items()}
    body = {"group_id": template, **dotted, "page": page, "page_size": 50}
    return {**body, "recipient": recipient} if recipient else body


def changes_body(*, since: dt.date, page: int) -> dict[str, Any]:
    """Return the question for the badges of an organization that were changed since a day."""
    return {"start_updated_date": since.isoformat(), "page": page, "page_size": 50}


def says_duplicate(refusal: str) -> bool:
    """Return whether the text of a refusal says that the person has a badge of this group already."""
    return bool(_SAYS_DUPLICATE.search(refusal.lower()))


def day_text(moment: dt.datetime) -> str:
    """Write the day of a moment, in UTC, as ``2014-04-01``."""
    return moment.astimezone(dt.UTC).date().isoformat()


def badge_from(answer: Any) -> ExternalBadge:
    """Read Accredible's description of a credential; ValueError when it names none."""
    described = answer.get("credential", answer) if isinstance(answer, dict) else None
    if not isinstance(described, dict) or not _is_id(described.get("id")):
        raise ValueError("the answer describes no credential")
    recipient, group = _dict(described.get("recipient")), _dict(described.get("group"))
    return ExternalBadge(
        id=str(described["id"]),
        name=answers.text_of(described.get("name")) or "",
        email=str(recipient.get("email") or described.get("recipient_email") or "").strip().casefold(),
        earner=answers.text_of(recipient.get("id", described.get("recipient_id"))),
        credential=answers.text_of(_dict(described.get("meta_data")).get(OUR_ID)),
        template=answers.text_of(described.get("group_id", group.get("id"))),
        is_published=described["approve"] if isinstance(described.get("approve"), bool) else None,
        issued_on=_day(described.get("issued_on")),
        ends_on=_day(described.get("expired_on")),
        url=answers.web_address_of(described.get("url")),
    )


def badges_from(page: Any) -> Iterator[ExternalBadge]:
    """Read a page of credentials, passing over what describes none."""
    for row in rows_of(page, "credentials"):
        try:
            yield badge_from(row)
        except ValueError:
            continue


def group_from(described: Any, *, management_url: str) -> tuple[TemplateFact, str]:
    """
    Read Accredible's description of a group, and the id of its design; ValueError when it names none.

    Groups have no states: it is in use. ``management_url`` is the page of a group there, with ``{}`` for its id.
    """
    number = str(described.get("id")) if isinstance(described, dict) else ""
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise ValueError("the answer describes no group")
    design = described.get("badge_design_id") or described.get("primary_design_id") or described.get("design_id")
    fact = TemplateFact(
        id=str(int(number)),
        state=TemplateState.ACTIVE,
        at=answers.time_of(described.get("updated_at")),
        name=str(described.get("course_name") or described.get("name") or ""),
        description=str(described.get("course_description") or ""),
        management_url=management_url.format(number),
    )
    return fact, str(design) if re.fullmatch(r"[0-9]{1,18}", str(design)) else ""


def groups_from(page: Any, *, management_url: str) -> Iterator[tuple[TemplateFact, str]]:
    """Read a page of groups, passing over what describes none."""
    for row in rows_of(page, "groups"):
        try:
            yield group_from(row, management_url=management_url)
        except ValueError:
            continue


def design_image(answer: Any) -> str:
    """Return the address of the image that a design is drawn as; "" when it has none."""
    design = _dict(answer.get("design", answer) if isinstance(answer, dict) else None)
    return answers.web_address_of(design.get("rasterized_content_url"))


def total_count(page: Any) -> int | None:
    """Return how many rows a list has on all pages, if the page tells that."""
    total = _dict(page.get("meta") if isinstance(page, dict) else None).get("total_count")
    return total if type(total) is int and total >= 0 else None


def rows_of(page: Any, name: str) -> list[Any]:
    """Return the rows of a page of a list, which are under ``name``."""
    rows = page.get(name) if isinstance(page, dict) else None
    return rows if isinstance(rows, list) else []


def next_page(page: Any) -> int | None:
    """Return the number of the next page of a list, None on the last one; ValueError when it is no number."""
    number = _dict(page.get("meta") if isinstance(page, dict) else None).get("next_page")
    if number is None:
        return None
    if type(number) is not int:
        raise ValueError("the next page is no number")
    return number


def _is_id(value: Any) -> bool:
    return type(value) in (int, str) and bool(_ID.fullmatch(str(value)))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _printable(name: str) -> str:
    """Take out NUL and other control characters; unlike those, joiners and direction marks are part of names."""
    kept = "".join(" " if unicodedata.category(character) == "Cc" else character for character in name)
    return " ".join(kept.split())


def _day(value: Any) -> dt.date | None:
    """Read ``2014-04-01``, also with a time after it, or the deprecated ``01/04/2014``."""
    text = str(value)[:10]
    if found := re.fullmatch(r"(\d\d)/(\d\d)/(\d{4})", text):
        text = "-".join(reversed(found.groups()))
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None
