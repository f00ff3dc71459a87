"""What is done from time to time: credentials expire, closed contexts open again, old runs are deleted."""

from __future__ import annotations

import datetime as dt
import logging

from django.utils import timezone

from badges import api as badges
from badges.exceptions import Permanent, Retryable
from credentials_config import lms
from credentials_config.issuing import periodic, run_queue
from credentials_config.issuing.lifecycle import expire
from credentials_config.models import CredentialConfiguration
from credentials_config.schedules import Run, Skip, decide

__all__ = ["delete_old_runs", "expire", "reopen"]

log = logging.getLogger(__name__)


def reopen(*, now: dt.datetime | None = None) -> int:
    """
    Open closed contexts again whose end date was moved or removed; returns how many.

    Their schedules are disabled, so no run would notice. What an administrator switched off stays off. One request to
    the LMS for each closed context.
    """
    now = now or timezone.now()
    opened = 0
    for configuration in CredentialConfiguration.objects.filter(closed_at__isnull=False, enabled=True).iterator(100):
        try:
            decision = decide(configuration.schedule_rules, lms.client().context(configuration.context_key), now)
        except Retryable as error:  # nor will it answer the next request
            log.info("The LMS does not say now which contexts are still closed: %s", error)
            break
        except Permanent as error:
            log.info(
                "Configuration %s: it is not known whether its context is still closed: %s", configuration.pk, error
            )
            continue
        if isinstance(decision, (Run, Skip)):
            periodic.reopen(configuration)
            opened += 1
    return opened


def delete_old_runs(*, now: dt.datetime | None = None) -> int:
    """Delete finished runs that are older than the settings allow; returns how many. Their credentials stay."""
    return badges.delete_old_runs(run_queue.KIND, now=now)
