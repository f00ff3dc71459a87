"""Both apps are plugins of both hosts, and add only missing settings."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.apps import apps
from edx_django_utils.plugins.constants import PluginSettings, PluginURLs

from credentials_config.plugin_settings import plugin_settings


@pytest.mark.parametrize("label", ["lms_badges", "lms_credentials_config"])
def test_an_app_is_a_plugin_of_the_credentials_service_and_of_the_lms(label):
    plugin = apps.get_app_config(label).plugin_app

    urls, kinds = plugin[PluginURLs.CONFIG], plugin[PluginSettings.CONFIG]
    assert {host: part[PluginURLs.NAMESPACE] for host, part in urls.items()} == {
        "credentials.djangoapp": label,
        "lms.djangoapp": label,
    }
    assert set(kinds["credentials.djangoapp"]) == {"base", "production", "devstack", "test"}
    assert set(kinds["lms.djangoapp"]) == {"base", "common", "production", "devstack", "test"}


def test_the_second_app_brings_the_first_unless_the_host_has_it_by_either_name():
    bare = SimpleNamespace(INSTALLED_APPS=["credentials.apps.badges"])
    full = SimpleNamespace(INSTALLED_APPS=["badges.apps.BadgesConfig", "django_celery_beat"])

    for host in (bare, full, full):
        plugin_settings(host)

    assert bare.INSTALLED_APPS == ["credentials.apps.badges", "badges", "django_celery_beat"]
    assert full.INSTALLED_APPS == ["badges.apps.BadgesConfig", "django_celery_beat"]
    assert set(full.CELERY_BEAT_SCHEDULE) == {"credentials-sweep", "credentials-maintain"}


def test_what_the_host_said_of_the_schedule_stands():
    host_schedule = {"credentials-sweep": {"task": "credentials_config.sweep", "schedule": 5.0}}
    host = SimpleNamespace(INSTALLED_APPS=[], CELERY_BEAT_SCHEDULE=host_schedule, CELERY_BEAT_SCHEDULER="of.the.host")

    plugin_settings(host)

    assert host.CELERY_BEAT_SCHEDULE["credentials-sweep"]["schedule"] == 5.0
    assert host.CELERY_BEAT_SCHEDULER == "of.the.host"
    assert list(host_schedule) == ["credentials-sweep"]
