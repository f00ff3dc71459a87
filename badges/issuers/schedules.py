"""What is asked of providers from time to time: events once a day, for webhooks that were missed, and templates."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from badges.conf import config
from badges.exceptions import Permanent
from badges.issuers import registry, webhooks
from badges.issuers.models import ProviderOrganization
from badges.issuers.run_kinds import SWEEP, SYNC
from badges.runs import queue
from badges.runs.models import Run, RunMode

# A run that has failed is not followed by another one before this.
AGAIN = dt.timedelta(hours=6)

log = logging.getLogger(__name__)


def start_sweeps(*, now: dt.datetime) -> int:
    """
    Start a run for each organization whose events were not read for ``providers.sweep_hours``; return how many.

    An organization that is seen for the first time is noted; its events are read from then on.
    """
    return _start(SWEEP, "swept_at", _hours("sweep_hours"), now)


def start_syncs(*, now: dt.datetime) -> int:
    """Start a run for each organization whose templates were not read for ``providers.sync_hours``; return how many."""
    return _start(SYNC, "synced_at", _hours("sync_hours"), now)


def _start(kind: str, column: str, hours: float | None, now: dt.datetime) -> int:
    known = [
        (slug, organization)
        for slug, issuer in registry.working().items()
        if (issuer.can_sweep if kind == SWEEP else issuer.can_sync)
        for organization in issuer.organizations()
    ]
    if not known:
        return 0
    webhooks.note_organizations(known, now=now)
    if hours is None:
        return 0
    due = ProviderOrganization.objects.exclude(**{f"{column}__gt": now - dt.timedelta(hours=hours)})
    started = 0
    for row in due:
        if (row.provider, row.organization) not in known:
            continue
        subject = f"{row.provider}/{row.organization}"
        if Run.objects.filter(kind=kind, subject=subject, asked_at__gt=now - AGAIN).exists():
            continue
        try:
            parameters = {"provider": row.provider, "organization": row.organization}
            queue.start(kind, mode=RunMode.APPLY, parameters=parameters, now=now)
        except Permanent as error:  # one is open, or the provider is gone by now
            log.info("No run %s of %s was started: %s", kind, row, error)
        else:
            started += 1
    return started


def _hours(name: str) -> float | None:
    """Return a number of hours of the settings; None: never. Checks report a wrong one."""
    given: Any = config.providers[name]
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return float(given) if is_number and given > 0 else None
