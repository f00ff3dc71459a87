"""What has to be looked at from time to time, though nobody asks: expiry, closed contexts, old runs."""

from __future__ import annotations

import datetime as dt
import logging

from django.utils import timezone

from badges.exceptions import Permanent, Retryable
from credentials_config import lms
from credentials_config.conf import config
from credentials_config.issuing import periodic
from credentials_config.issuing.lifecycle import expire
from credentials_config.issuing.runs import gates_of
from credentials_config.models import CredentialConfiguration, CredentialRun
from credentials_config.schedules import Run, Skip, decide

__all__ = ["expire", "forget_runs", "reopen"]

log = logging.getLogger(__name__)


def reopen(*, now: dt.datetime | None = None) -> int:
    """
    Open closed contexts again whose end has moved, or is gone; returns how many.

    Their schedules are off, so nobody else would notice. What an administrator switched off stays off.
    """
    now = now or timezone.now()
    opened = 0
    for configuration in CredentialConfiguration.objects.filter(closed_at__isnull=False, enabled=True).iterator(100):
        try:
            decision = decide(gates_of(configuration), lms.client().context(configuration.context_key), now)
        except Retryable as error:  # nor will it answer the next question
            log.info("Which contexts are still closed cannot be told now: %s", error)
            break
        except Permanent as error:
            log.info("Configuration %s: whether it is still closed cannot be told: %s", configuration.pk, error)
            continue
        if isinstance(decision, (Run, Skip)):
            periodic.open_again(configuration)
            opened += 1
    return opened


def forget_runs(*, now: dt.datetime | None = None) -> int:
    """Delete finished runs that are older than the settings allow; returns how many. Their credentials stay."""
    before = (now or timezone.now()) - dt.timedelta(days=config.issuing["keep_runs_days"])
    old = CredentialRun.objects.filter(active_key=None, finished_at__lt=before)
    done = 0
    while some := list(old.order_by("pk").values_list("pk", flat=True)[:500]):
        CredentialRun.objects.filter(pk__in=some).delete()
        done += len(some)
    return done
