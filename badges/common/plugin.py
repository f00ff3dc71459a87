"""The plugin configuration of an app for ``edx-django-utils``, and additions to the settings of the host."""

from __future__ import annotations

from typing import Any

from edx_django_utils.plugins.constants import PluginSettings, PluginURLs

# The settings modules for which each host calls its plugins.
_KINDS = ("base", "production", "devstack", "test")
_HOSTS = {"credentials.djangoapp": _KINDS, "lms.djangoapp": (*_KINDS, "common")}


def as_plugin(namespace: str) -> dict[Any, Any]:
    """Return the ``plugin_app`` of an AppConfig. Its ``urls`` are mounted at the root, in this namespace."""
    urls = {PluginURLs.NAMESPACE: namespace, PluginURLs.REGEX: r"", PluginURLs.RELATIVE_PATH: "urls"}
    settings = {PluginSettings.RELATIVE_PATH: "plugin_settings"}
    return {
        PluginURLs.CONFIG: dict.fromkeys(_HOSTS, urls),
        PluginSettings.CONFIG: {host: dict.fromkeys(kinds, settings) for host, kinds in _HOSTS.items()},
    }


def add_apps(settings: Any, *needed: str) -> None:
    """Add apps to ``INSTALLED_APPS``, unless the host has them by their name or by their AppConfig."""
    for app in needed:
        if not any(entry == app or entry.startswith(f"{app}.apps.") for entry in settings.INSTALLED_APPS):
            settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]


def add_beat_entries(settings: Any, entries: dict[str, tuple[str, float]]) -> None:
    """Add entries to Celery beat's schedule, unless they exist: by name, the task and the seconds between its runs."""
    schedule = dict(getattr(settings, "CELERY_BEAT_SCHEDULE", None) or {})
    for name, (task, seconds) in entries.items():
        schedule.setdefault(name, {"task": task, "schedule": seconds})
    settings.CELERY_BEAT_SCHEDULE = schedule
