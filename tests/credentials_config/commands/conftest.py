"""The fixtures of issuing."""

from tests.credentials_config.issuing.conftest import _storage_and_generator, smtp_server

__all__ = ["_storage_and_generator", "smtp_server"]
