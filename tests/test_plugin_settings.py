"""The plugin adds its settings once, and keeps the host's settings."""

from __future__ import annotations

import copy
from types import SimpleNamespace

from badges.plugin_settings import NEEDED_APPS, plugin_settings

AWARDED = "org.openedx.learning.badge.awarded.v1"


def test_asked_three_times_it_adds_its_part_once():
    host = SimpleNamespace(INSTALLED_APPS=["django.contrib.auth"])

    plugin_settings(host)
    once = copy.deepcopy(host)
    plugin_settings(host)
    plugin_settings(host)

    assert host == once
    assert ["django.contrib.auth", *NEEDED_APPS] == host.INSTALLED_APPS
    assert {entry["task"] for entry in host.CELERY_BEAT_SCHEDULE.values()} == {
        "badges.sweep",
        "badges.purge",
        "badges.retire",
        "badges.expire",
        "badges.sweep_providers",
        "badges.sync_templates",
    }
    assert list(host.EVENT_BUS_PRODUCER_CONFIG) == [AWARDED]
    assert host.DEFAULT_EXCEPTION_REPORTER_FILTER == "badges.common.redaction.ErrorPageFilter"


def test_what_the_host_said_stands_and_its_own_objects_are_left_alone():
    apps = ("rest_framework", "django_celery_beat.apps.BeatConfig", "rest_framework.authtoken")
    schedule = {"badges-sweep": {"task": "badges.sweep", "schedule": 5.0}}
    outgoing = {AWARDED: {"topic-of-ours": {"event_key_field": "badge.uuid", "enabled": False}}}
    host = SimpleNamespace(
        INSTALLED_APPS=apps,
        CELERY_BEAT_SCHEDULE=schedule,
        EVENT_BUS_PRODUCER_CONFIG=outgoing,
        LMS_BADGES_CONFIG={"events": ["mine"]},
        DEFAULT_EXCEPTION_REPORTER_FILTER="mine.Filter",
    )

    plugin_settings(host)

    # Two spellings of one app would be two apps of one label, and the host would not start.
    assert [app for app in host.INSTALLED_APPS if "beat" in app] == ["django_celery_beat.apps.BeatConfig"]
    assert host.INSTALLED_APPS.count("rest_framework") == 1
    assert host.CELERY_BEAT_SCHEDULE["badges-sweep"]["schedule"] == 5.0
    assert host.EVENT_BUS_PRODUCER_CONFIG[AWARDED] == outgoing[AWARDED]
    assert host.LMS_BADGES_CONFIG == {"events": ["mine"]}
    assert host.DEFAULT_EXCEPTION_REPORTER_FILTER == "mine.Filter"
    assert (apps, list(schedule)) == (("rest_framework", *apps[1:]), ["badges-sweep"])
