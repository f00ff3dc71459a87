"""The host's app ``core``."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Its label is the last part of its name, as Django has it."""

    name = "tests.hosts.credentials_like.core"
