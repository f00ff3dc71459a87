"""The badges app of a host."""

from django.apps import AppConfig


class HostBadges(AppConfig):
    """It has the label ``badges``, which this plugin does not use."""

    name = "tests.support"
    label = "badges"
