"""The same furniture as for issuing."""

from tests.credentials_config.issuing.conftest import _furnished, post_office

__all__ = ["_furnished", "post_office"]
