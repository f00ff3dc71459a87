"""How an app plugs into a host by ``edx-django-utils``, and adds to the host's settings what is missing there."""

from __future__ import annotations

from typing import Any

from edx_django_utils.plugins.constants import PluginSettings, PluginURLs

# The kinds of settings that each host asks its plugins about.
_KINDS = ("base", "production", "devstack", "test")
_HOSTS = {"credentials.djangoapp": _KINDS, "lms.djangoapp": (*_KINDS, "common")}


def as_plugin(namespace: str) -> dict[Any, Any]:
    """Return the ``plugin_app`` of an AppConfig whose ``urls`` are mounted at the root, in this namespace."""
    urls = {PluginURLs.NAMESPACE: namespace, PluginURLs.REGEX: r"", PluginURLs.RELATIVE_PATH: "urls"}
    settings = {PluginSettings.RELATIVE_PATH: "plugin_settings"}
    return {
        PluginURLs.CONFIG: dict.fromkeys(_HOSTS, urls),
        PluginSettings.CONFIG: {host: dict.fromkeys(kinds, settings) for host, kinds in _HOSTS.items()},
    }


def add_apps(settings: Any, *needed: str) -> None:
    """Add the apps that the host has neither by their name nor by their AppConfig: two spellings would be two apps."""
    for app in needed:
        if not any(entry == app or entry.startswith(f"{app}.apps.") for entry in settings.INSTALLED_APPS):
            settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, app]


def add_beat_entries(settings: Any, entries: dict[str, tuple[str, float]]) -> None:
    """Add to Celery beat's schedule, by name: a task and the seconds between its runs."""
    schedule = dict(getattr(settings, "CELERY_BEAT_SCHEDULE", None) or {})
    for name, (task, seconds) in entries.items():
        schedule.setdefault(name, {"task": task, "schedule": seconds})
    settings.CELERY_BEAT_SCHEDULE = schedule
