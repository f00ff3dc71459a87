"""The same furniture as for issuing."""

from tests.credentials_config.issuing.conftest import _furnished, smtp_server

__all__ = ["_furnished", "smtp_server"]
