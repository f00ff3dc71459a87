"""The admin pages: what is given where and when, what came of it, and the buttons for deciding otherwise."""

from credentials_config.admin import assets, configurations, credentials, runs, types

__all__ = ["assets", "configurations", "credentials", "runs", "types"]
