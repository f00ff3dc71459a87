"""Badges: learning events in, credentials out."""

__version__ = "0.1.0"
