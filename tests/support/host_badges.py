"""A host that has a badges app of its own."""

from django.apps import AppConfig


class HostBadges(AppConfig):
    """It owns the label that we do not use."""

    name = "tests.support"
    label = "badges"
