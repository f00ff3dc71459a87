"""The host's app ``badges``."""

from django.apps import AppConfig


class BadgesConfig(AppConfig):
    """Its label is the last part of its name, as Django has it."""

    name = "tests.hosts.credentials_like.badges"
