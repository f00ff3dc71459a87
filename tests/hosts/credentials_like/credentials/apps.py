"""The host's app ``credentials``."""

from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    """Its label is the last part of its name, as Django has it."""

    name = "tests.hosts.credentials_like.credentials"
