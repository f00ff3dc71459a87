"""How all views write times."""

from __future__ import annotations

import datetime as dt
from typing import Any

from rest_framework import serializers


def utc_time_field(**options: Any) -> serializers.DateTimeField:
    """Return a field for a time in UTC, in the format of RFC 3339. The host's format and zone have no effect."""
    return serializers.DateTimeField(format="iso-8601", default_timezone=dt.UTC, **options)


def utc_text(moment: dt.datetime | None) -> str | None:
    """Return a time in UTC as text, in the same format; None for None."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if moment else None
