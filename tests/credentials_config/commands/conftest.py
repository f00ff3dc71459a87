"""The same furniture as for issuing."""

from tests.credentials_config.issuing.conftest import folder, post_office, typewriter

__all__ = ["folder", "post_office", "typewriter"]
