"""System checks of the settings of scheduled credentials. Their ids are stable, because hosts silence them by id."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django_celery_beat.models import PERIOD_CHOICES

from badges.exceptions import Permanent
from credentials_config.conf import DEFAULTS, config
from credentials_config.generators.pdf import extra
from credentials_config.issuing import documents


@register("lms_credentials_config")
def check_config(**_: Any) -> list[CheckMessage]:
    """Return warnings and errors about ``CREDENTIALS_CONFIG``: unknown keys, and values that cannot be used."""
    given = getattr(settings, "CREDENTIALS_CONFIG", {})
    if not isinstance(given, dict):
        return [
            Error("CREDENTIALS_CONFIG is not a dict.", hint="CREDENTIALS_CONFIG = {}", id="lms_credentials_config.E001")
        ]
    return [*_unknown_keys(given), *_documents(), *_schedule(), *_public_url(), *_generator()]


def _unknown_keys(given: dict[str, Any]) -> Iterator[CheckMessage]:
    for key, value in given.items():
        if key not in DEFAULTS:
            yield _unknown(key, DEFAULTS)
        elif isinstance(DEFAULTS[key], dict) and DEFAULTS[key]:
            if isinstance(value, dict):
                yield from (_unknown(inner, DEFAULTS[key], f"{key}.") for inner in value if inner not in DEFAULTS[key])
            else:
                yield Error(
                    f"CREDENTIALS_CONFIG[{key!r}] is not a dict.",
                    hint="See the settings page of the documentation.",
                    id="lms_credentials_config.E002",
                )


def _unknown(key: Any, known: dict[str, Any], above: str = "") -> CheckMessage:
    near = difflib.get_close_matches(str(key), known, n=1)
    return Warning(
        f"CREDENTIALS_CONFIG has the unknown key {above}{key}, which is ignored.",
        hint=f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(known))}.",
        id="lms_credentials_config.W001",
    )


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
