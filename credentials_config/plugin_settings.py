"""What scheduled credentials add to their host's settings: what is missing, and nothing else."""

from __future__ import annotations

from typing import Any


def plugin_settings(settings: Any) -> None:
    """Add the apps and settings this plugin needs, where the host does not have them."""
    for app in ("badges", "django_celery_beat"):
        if not any(str(name).split(".")[0] == app for name in settings.INSTALLED_APPS):
            settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
    if not hasattr(settings, "CREDENTIALS_CONFIG"):
        settings.CREDENTIALS_CONFIG = {}
    if getattr(settings, "CELERY_BEAT_SCHEDULER", None) is None:
        settings.CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
    _add_beat_entries(settings)


def _add_beat_entries(settings: Any) -> None:
    """Every minute, what nobody was woken for; once a day, closed contexts that may be open again, and old runs."""
    schedule = dict(getattr(settings, "CELERY_BEAT_SCHEDULE", None) or {})
    schedule.setdefault("credentials-sweep", {"task": "credentials_config.sweep", "schedule": 60.0})
    schedule.setdefault("credentials-look-again", {"task": "credentials_config.look_again", "schedule": 24 * 3600.0})
    settings.CELERY_BEAT_SCHEDULE = schedule
