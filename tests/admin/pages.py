"""Filling in a template's page like a browser without JavaScript: all of its fields, some of them changed."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from badges.conf import PASSING_STATUS

ADD = "/admin/lms_badges/badgetemplate/add/"
LIST = "/admin/lms_badges/badgetemplate/"
ALGEBRA = "course-v1:Demo+Algebra+2026"


def change(template: Any) -> str:
    """Return the address of a template's page."""
    return f"{LIST}{template.pk}/change/"


class _Fields(HTMLParser):
    """Collects what a page's form would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._select: str | None = None
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                self.sent[name] = given.get("value") or "on"
        elif tag == "input" and name and given.get("type") != "submit":
            self.sent[name] = given.get("value") or ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self.sent:
                self.sent[self._select] = given.get("value") or ""
        elif tag == "textarea":
            self._area, self.sent[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        self._select = None if tag == "select" else self._select
        self._area = None if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area] += data.removeprefix("\n").rstrip("\r\n")


def fields(client: Any, address: str) -> dict[str, str]:
    """Return what the page at an address would send, were it saved as it is."""
    page = client.get(address)
    assert page.status_code == 200, page.status_code
    collected = _Fields()
    collected.feed(page.content.decode())
    return collected.sent


def save(client: Any, address: str, **changed: Any) -> Any:
    """Open a page, change some fields (None leaves one out), and press Save. ``r0_`` stands for ``requirements-0-``."""
    sent = fields(client, address)
    for name, value in changed.items():
        name = _spelled(name)
        if value is None:
            sent.pop(name, None)
        else:
            sent[name] = value
    return client.post(address, sent)


def errors(page: Any) -> list[str]:
    """Return what a page complains about."""
    assert page.status_code == 200, "the page was saved"
    found = _Errors()
    found.feed(page.content.decode())
    return found.messages


class _Errors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "ul":
            self._inside = "errorlist" in (dict(attrs).get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "ul":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.messages.append(data.strip())


def _spelled(name: str) -> str:
    """``r0_event_type`` and ``r0_path1``, as the page spells them."""
    for number in range(9):
        if name.startswith(f"r{number}_"):
            part = name[3:]
            if part[:-1] in ("path", "operator", "value", "removed") and part[-1].isdigit():
                return f"requirements-{number}-rules-{part[-1]}-{part[:-1]}"
            return f"requirements-{number}-{part}"
        if name.startswith(f"i{number}_"):
            return f"issuers-{number}-{name[3:]}"
    return name


NEW = {"name": "Algebra star", "slug": "algebra-star", "r0_event_type": PASSING_STATUS}
