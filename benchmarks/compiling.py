"""
Print how long a process needs to compile the catalog of a database, as JSON. A process of its own, for one database.

``start`` is the time in seconds for a process that starts, and ``save`` the time after one template was saved.
"""

from __future__ import annotations

import json
import os
import time

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    from django.utils import timezone  # noqa: PLC0415 -- Django is ready only now

    from badges.catalog import editing, event_types, queries, snapshot  # noqa: PLC0415
    from badges.catalog.models import BadgeTemplate  # noqa: PLC0415

    event_types.configured()
    start = _seconds_to_compile(snapshot.current)
    stored = queries.load(BadgeTemplate.objects.order_by("id")[:1]).popitem()[1]
    document = {**stored.document(), "description": "saved again"}
    editing.save([editing.Draft("", document)], author=None, now=timezone.now())
    save = _seconds_to_compile(snapshot.current)
    print(json.dumps({"start": start, "save": save}))  # noqa: T201 -- this is the result


def _seconds_to_compile(compile_catalog: object) -> float:
    began = time.perf_counter()
    compile_catalog()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
