"""
Reading what a provider answers: pure functions from text to what is stored here.

Providers word their errors in varying shapes, so reading is lenient: whatever text there is, with the field it is
about. What is read here ends up in mailboxes, the admin and logs, so the learner's data that we sent is taken out.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

LONGEST_TEXT = 200  # leaves room for the remedy in a mailbox's column
HIDDEN = "***"

_ADDRESS = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+")
_NAMES_OF_FIELDS = ("attribute", "field", "name", "parameter", "property", "source")
_NAMES_OF_TEXTS = ("messages", "message", "detail", "details", "description", "error_description", "title")
_ENVELOPES = ("data", "errors", "error", "meta", "base")


def error_text(body: bytes, content_type: str, *, private: Collection[str] = ()) -> str:
    """Return what an error answer says, short, on one line, without the ``private`` texts; it may say nothing."""
    text = body.decode("utf-8", errors="replace")
    try:
        sentences = list(dict.fromkeys(_sentences(json.loads(text))))
    except (ValueError, RecursionError):
        # Pages of proxies and load balancers say nothing that the status does not.
        sentences = [text] if content_type.startswith("text/plain") else []
    # NUL and lone surrogates, which JSON can spell, are more than a database can store.
    shown = "".join(character if character.isprintable() else " " for character in "; ".join(sentences))
    line = " ".join(shown.split())
    # Hidden before it is cut: half a name is personal data too.
    line = hidden(line, private)
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def hidden(text: str, private: Collection[str]) -> str:
    """Return the text without any of the ``private`` words and without anything that looks like an e-mail address."""
    text = _ADDRESS.sub(HIDDEN, text)
    for word in sorted({word.strip() for word in private}, key=len, reverse=True):
        if any(character.isalnum() for character in word):
            text = re.sub(_whole_word_pattern(word), HIDDEN, text, flags=re.IGNORECASE)
    return text


def next_link(page: Any) -> str | None:
    """Return the link to the next page of a list, or None on the last page."""
    metadata = page.get("metadata") if isinstance(page, dict) else None
    link = metadata.get("next_page_url") if isinstance(metadata, dict) else None
    return str(link) if link else None


def total_count(page: Any) -> int | None:
    """Return how many rows a list has on all pages, if the page tells that."""
    metadata = page.get("metadata") if isinstance(page, dict) else None
    total = metadata.get("total_count") if isinstance(metadata, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _whole_word_pattern(word: str) -> str:
    """ "Li" must not eat half of "invalid"; scripts that write without spaces have no such edges."""
    return rf"(?<!\w){re.escape(word)}(?!\w)" if word.isascii() else re.escape(word)


def _sentences(found: Any, field: str = "") -> Iterator[str]:
    if isinstance(found, str) and found.strip():
        yield f"{field}: {found.strip()}" if field else found.strip()
    elif isinstance(found, list):
        for item in found:
            yield from _sentences(item, field)
    elif isinstance(found, dict):
        yield from _sentences_of(found, field)


def _sentences_of(found: dict[str, Any], field: str) -> Iterator[str]:
    field = next((str(found[name]) for name in _NAMES_OF_FIELDS if isinstance(found.get(name), str)), field)
    for name in (*_NAMES_OF_TEXTS, *_ENVELOPES):
        yield from _sentences(found.get(name), field)
    for name, value in found.items():
        # {"recipient_email": ["is invalid"]}: anything else that leads to a list of texts is a field that we sent.
        if name not in (*_NAMES_OF_TEXTS, *_ENVELOPES) and isinstance(value, (list, dict)):
            yield from _sentences(value, name)


def text_of(value: Any) -> str | None:
    """Return a value of an answer as text; None when there is none."""
    return None if value is None else str(value)


def time_of(value: Any) -> dt.datetime | None:
    """Return a time of an answer, in UTC where it names no offset; None when it is no time."""
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def web_address_of(value: Any) -> str:
    """Return an address of an answer that may be shown as a link; blank for anything else."""
    text = str(value or "")
    return text if re.fullmatch(r"https?://[!-~]{1,490}", text) else ""
