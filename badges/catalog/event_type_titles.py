"""What readers call event types: the title that staff gave one of their own, else the words of the name."""

from __future__ import annotations

import re
from collections.abc import Collection

from badges.catalog.models import EventType

_PREFIX, _VERSION = "org.openedx.learning.", re.compile(r"\.v[0-9]+$")


def titles_of(event_types: Collection[str]) -> dict[str, str]:
    """Return the titles of event types by their names; one statement."""
    own = dict(EventType.objects.filter(name__in=sorted(event_types)).values_list("name", "title"))
    return {name: own.get(name) or words_of(name) for name in event_types}


def words_of(event_type: str) -> str:
    """Return the words of a name: ``course passing status updated`` of a public signal."""
    name = _VERSION.sub("", event_type).removeprefix(_PREFIX)
    return re.sub(r"[._]+", " ", name).strip() or event_type
