"""What becomes of an error: text that may be stored, the time of the next attempt, a problem on the configuration."""

from __future__ import annotations

import datetime as dt
import logging

from badges.common import error_messages
from badges.common.backoff import next_delay
from badges.exceptions import BadgesError
from credentials_config.conf import config
from credentials_config.contracts import GenerationError
from credentials_config.models import CredentialConfiguration

log = logging.getLogger(__name__)

MESSAGE_LENGTH = 500
# Errors whose message is ours, and so without personal data.
OURS = (BadgesError, GenerationError)
# Seconds that a worker waits for a database that does not answer.
DATABASE_GIVE_UP_SECONDS = 60.0


def storable_message(error: BaseException) -> str:
    """Return what went wrong, without personal data, as short as its column."""
    return error_messages.storable_message(error, ours=OURS)[:MESSAGE_LENGTH]


def log_unforeseen(error: BaseException, what: str) -> str:
    """Log the lines of code of an error that is not one of ours, and return the message that may be stored."""
    if not isinstance(error, OURS):
        log.error("%s while %s:\n%s", type(error).__name__, what, error_messages.code_lines(error))
    return storable_message(error)


def next_attempt_at(now: dt.datetime, attempts: int, *, retry_after: float | None = None) -> dt.datetime:
    """
    Return when to try again after this many attempts, with the delays of the settings.

    ``retry_after``: the seconds that the other side asked for.
    """
    backoff_delay = next_delay(
        attempts, base=config.issuing["base_delay"], cap=config.issuing["max_delay"], retry_after=retry_after
    )
    return now + dt.timedelta(seconds=backoff_delay)


def report_problem(configuration: CredentialConfiguration, problem: str) -> None:
    """Write on a configuration why its runs find nobody. Documents of people who were found before are still made."""
    log.error("Configuration %s: %s", configuration.pk, problem)
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(
        problem=problem[:MESSAGE_LENGTH], problem_until=None
    )


def postpone(configuration: CredentialConfiguration, problem: str, until: dt.datetime) -> None:
    """Write on a configuration why none of its documents can be made. No worker tries before ``until``."""
    log.error("The documents of configuration %s are postponed: %s", configuration.pk, problem)
    CredentialConfiguration.objects.filter(pk=configuration.pk).update(
        problem=problem[:MESSAGE_LENGTH], problem_until=until
    )


def clear_problem(configuration: CredentialConfiguration, *, only_postponed: bool = False) -> None:
    """Remove the problem of a configuration. ``only_postponed``: only one for which its documents are postponed."""
    rows = CredentialConfiguration.objects.filter(pk=configuration.pk)
    rows = rows.filter(problem_until__isnull=False) if only_postponed else rows.exclude(problem="")
    rows.update(problem="", problem_until=None)
