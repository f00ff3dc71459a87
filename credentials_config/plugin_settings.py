"""The settings of the host that scheduled credentials need. Only missing ones are added; none is changed."""

from __future__ import annotations

from typing import Any

from badges.common.plugin import add_apps, add_beat_entries


def plugin_settings(settings: Any) -> None:
    """Add the apps and settings this plugin needs, where the host does not have them."""
    add_apps(settings, "badges", "django_celery_beat")
    if not hasattr(settings, "CREDENTIALS_CONFIG"):
        settings.CREDENTIALS_CONFIG = {}
    if getattr(settings, "CELERY_BEAT_SCHEDULER", None) is None:
        settings.CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
    # Every minute: expiry, and work whose notification was lost. Once a day: contexts that open again, and old runs.
    add_beat_entries(
        settings,
        {
            "credentials-sweep": ("credentials_config.sweep", 60.0),
            "credentials-maintain": ("credentials_config.maintain", 24 * 3600.0),
        },
    )
