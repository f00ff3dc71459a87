"""
What the plugin adds to its host's settings.

Called up to three times by ``edx-django-utils``. It adds what is missing and overwrites nothing.
"""

from __future__ import annotations

from typing import Any

NEEDED_APPS = ("rest_framework", "django_filters", "drf_spectacular", "drf_spectacular_sidecar", "django_celery_beat")


def plugin_settings(settings: Any) -> None:
    """Add the apps, the beat entries and the outgoing events this plugin needs, where the host does not have them."""
    for app in NEEDED_APPS:
        if not any(entry == app or entry.startswith(f"{app}.apps.") for entry in settings.INSTALLED_APPS):
            settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]
    if not hasattr(settings, "BADGES_CONFIG"):
        settings.BADGES_CONFIG = {}
    _add_beat_entries(settings)
    _add_outgoing_events(settings)


def _add_beat_entries(settings: Any) -> None:
    """Sweep both mailboxes every minute: it finds what a lost wake-up left behind."""
    schedule = dict(getattr(settings, "CELERY_BEAT_SCHEDULE", None) or {})
    schedule.setdefault("badges-sweep", {"task": "badges.sweep", "schedule": 60.0})
    schedule.setdefault("badges-purge", {"task": "badges.purge", "schedule": 24 * 3600.0})
    settings.CELERY_BEAT_SCHEDULE = schedule


def _add_outgoing_events(settings: Any) -> None:
    """Name the topic of the public signals, unless the host's producer configuration already does."""
    producer = dict(getattr(settings, "EVENT_BUS_PRODUCER_CONFIG", None) or {})
    topic = {"learning-badges-lifecycle": {"event_key_field": "badge.uuid", "enabled": True}}
    producer.setdefault("org.openedx.learning.badge.awarded.v1", topic)
    settings.EVENT_BUS_PRODUCER_CONFIG = producer
