"""The admin pages: types, configurations, assets, runs and credentials."""

from credentials_config.admin import assets, configurations, credentials, runs, types

__all__ = ["assets", "configurations", "credentials", "runs", "types"]
