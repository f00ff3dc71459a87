"""What to do about what goes wrong: words that may be stored, and when to try again."""

from __future__ import annotations

import datetime as dt
import logging
import traceback
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from badges.common.backoff import next_delay
from badges.exceptions import BadgesError
from credentials_config.conf import config
from credentials_config.contracts import GenerationError
from credentials_config.models import CredentialConfiguration

log = logging.getLogger(__name__)

NOTE_LENGTH = 500
# What stops a worker in the middle of its work, and is a failure of nothing that it has in hand.
INTERRUPTIONS = (SoftTimeLimitExceeded, SystemExit, KeyboardInterrupt)


class LeaseLost(Exception):
    """Somebody else took over: we were too slow, or a person decided otherwise meanwhile."""


def said(error: BaseException) -> str:
    """Return what went wrong, without personal data: messages of other packages may quote it, so only ours are kept."""
    if isinstance(error, (BadgesError, GenerationError)):
        return str(error)[:NOTE_LENGTH]
    innermost = (traceback.extract_tb(error.__traceback__) or [None])[-1]
    place = f" in {Path(innermost.filename).name}:{innermost.lineno}" if innermost else ""
    return f"{type(error).__name__}{place}; the worker's log has more."


def logged(error: BaseException, what: str) -> str:
    """Log the lines of code of an error that nobody foresaw, and return what may be stored about it."""
    if not isinstance(error, (BadgesError, GenerationError)):
        log.error("%s while %s:\n%s", type(error).__name__, what, "".join(traceback.format_tb(error.__traceback__)))
    return said(error)


def next_try(now: dt.datetime, attempts: int, *, retry_after: float | None = None) -> dt.datetime:
    """Return when to try again after this many tries; ``retry_after`` is what the other side asked for, in seconds."""
    rules = config.issuing
    seconds = next_delay(attempts, base=rules["base_delay"], cap=rules["max_delay"], retry_after=retry_after)
    return now + dt.timedelta(seconds=seconds)


def complain(configuration: CredentialConfiguration, problem: str) -> None:
    """Say on a configuration why its runs find nobody; documents of those found before are made all the same."""
    log.error("Configuration %s: %s", configuration.pk, problem)
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(
        problem=problem[:NOTE_LENGTH], problem_until=None
    )


def hold(configuration: CredentialConfiguration, problem: str, until: dt.datetime) -> None:
    """Say on a configuration what keeps its documents from being made; nobody tries before ``until``."""
    log.error("Configuration %s is held: %s", configuration.pk, problem)
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(
        problem=problem[:NOTE_LENGTH], problem_until=until
    )


def let_go(configuration: CredentialConfiguration, *, only_hold: bool = False) -> None:
    """Nothing is wrong with the configuration any more (``only_hold``: as far as its documents are concerned)."""
    troubled = CredentialConfiguration.objects.filter(pk=configuration.pk)
    troubled = troubled.filter(problem_until__isnull=False) if only_hold else troubled.exclude(problem="")
    troubled.update(problem="", problem_until=None)
