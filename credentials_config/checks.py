"""System checks of the settings of scheduled credentials. Their ids are stable, because hosts silence them by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django_celery_beat.models import PERIOD_CHOICES

from badges.common.config_checks import config_problems
from badges.exceptions import Permanent
from credentials_config.conf import DEFAULTS, config
from credentials_config.generators.pdf import extra
from credentials_config.issuing import documents

_CONFIG_IDS = {"no_dict": "E001", "unknown": "W001", "wrong": "E002"}


@register("lms_credentials_config")
def check_config(**_: Any) -> list[CheckMessage]:
    """Return warnings and errors about ``CREDENTIALS_CONFIG``: unknown keys, and values that cannot be used."""
    ids = {prefix: f"lms_credentials_config.{number}" for prefix, number in _CONFIG_IDS.items()}
    problems = list(config_problems("CREDENTIALS_CONFIG", DEFAULTS, **ids))
    if any(problem.is_serious() for problem in problems):
        return problems  # the other checks would fail at what these say
    return [*problems, *_documents(), *_schedule(), *_public_url(), *_generator()]


def _documents() -> Iterator[CheckMessage]:
    for problem in documents.problems():
        yield Error(problem, hint="See the settings page of the documentation.", id="lms_credentials_config.E003")


def _schedule() -> Iterator[CheckMessage]:
    every, period = config.schedule.get("every"), config.schedule.get("period")
    periods = [name for name, _title in PERIOD_CHOICES]
    if not isinstance(every, int) or every < 1 or period not in periods:
        yield Error(
            "CREDENTIALS_CONFIG['schedule'] is no interval.",
            hint=f"'schedule': {{'every': 1, 'period': 'days'}}; periods are {', '.join(periods)}.",
            id="lms_credentials_config.E004",
        )
    scheduler = str(getattr(settings, "CELERY_BEAT_SCHEDULER", "") or "")
    if "DatabaseScheduler" not in scheduler:
        yield Warning(
            "Celery beat does not read schedules from the database, so those of credential configurations never fire.",
            hint="CELERY_BEAT_SCHEDULER = 'django_celery_beat.schedulers:DatabaseScheduler'",
            id="lms_credentials_config.W002",
        )


def _public_url() -> Iterator[CheckMessage]:
    try:
        documents.public_url()
    except Permanent as error:
        yield Warning(
            str(error), hint="'public_url': 'https://credentials.example.org'", id="lms_credentials_config.W003"
        )


def _generator() -> Iterator[CheckMessage]:
    if problem := extra.missing():
        yield Warning(
            problem,
            hint="Silence this on hosts that only award badges, or use other generators.",
            id="lms_credentials_config.W004",
        )
