"""
Additions to the settings of the host.

``edx-django-utils`` calls this up to three times. It adds missing settings and overwrites nothing.
"""

from __future__ import annotations

from typing import Any

from badges.common.plugin import add_apps, add_beat_entries

DJANGOS_FILTER = "django.views.debug.SafeExceptionReporterFilter"
NEEDED_APPS = ("rest_framework", "django_filters", "drf_spectacular", "drf_spectacular_sidecar", "django_celery_beat")


def plugin_settings(settings: Any) -> None:
    """Add the apps, the beat entries and the outgoing events this plugin needs, where the host does not have them."""
    add_apps(settings, *NEEDED_APPS)
    if not hasattr(settings, "LMS_BADGES_CONFIG"):
        settings.LMS_BADGES_CONFIG = {}
    # The sweep processes both mailboxes every minute, in case a task that notifies a worker was lost.
    tasks = {"badges-sweep": ("badges.sweep", 60.0), "badges-purge": ("badges.purge", 24 * 3600.0)}
    tasks |= {"badges-retire": ("badges.retire", 3600.0), "badges-expire": ("badges.expire", 300.0)}
    # Providers are asked once a day. The tasks look for what is due more often, so that a restart skips no day.
    tasks |= {
        "badges-sweep-providers": ("badges.sweep_providers", 3600.0),
        "badges-sync-templates": ("badges.sync_templates", 3600.0),
    }
    add_beat_entries(settings, tasks)
    _add_outgoing_events(settings)
    # Django's own filter does not know under which names the plugin has tokens.
    if getattr(settings, "DEFAULT_EXCEPTION_REPORTER_FILTER", DJANGOS_FILTER) == DJANGOS_FILTER:
        settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "badges.common.redaction.ErrorPageFilter"


def _add_outgoing_events(settings: Any) -> None:
    """Name the topic of the public signals, unless the host's producer configuration already does."""
    producer = dict(getattr(settings, "EVENT_BUS_PRODUCER_CONFIG", None) or {})
    topic = {"learning-badges-lifecycle": {"event_key_field": "badge.uuid", "enabled": True}}
    producer.setdefault("org.openedx.learning.badge.awarded.v1", topic)
    settings.EVENT_BUS_PRODUCER_CONFIG = producer
