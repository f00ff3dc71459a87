"""A Credly to issue at, and each provider in turn."""

from tests.issuers.conftest import credly, provider

__all__ = ["credly", "provider"]
