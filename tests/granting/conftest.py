"""A Credly to issue at."""

from tests.issuers.conftest import credly

__all__ = ["credly"]
