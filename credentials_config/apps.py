"""The Django app of scheduled credentials, and its entry in the host's plugin mechanism."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from badges.common.holdings import register_holdings
from badges.common.plugin import as_plugin
from badges.common.retirement import register_retirement_hook

if TYPE_CHECKING:
    from django.core.files.storage import Storage


class CredentialsConfigConfig(AppConfig):
    """Scheduled credentials as a plugin of the credentials service; needs the badges plugin."""

    name = "credentials_config"
    label = "lms_credentials_config"
    verbose_name = _("Scheduled credentials")
    default_auto_field = "django.db.models.BigAutoField"

    plugin_app = as_plugin("lms_credentials_config")

    def ready(self) -> None:
        from badges.api import register_run_kind  # noqa: PLC0415 -- models must be loaded
        from credentials_config import checks  # noqa: F401, PLC0415 -- registers the system checks
        from credentials_config.issuing import (  # noqa: PLC0415 -- models must be loaded
            holdings,
            periodic,
            retirement,
            run_queue,
            runs,
        )

        periodic.connect()
        register_run_kind(run_queue.KIND, runs.CredentialRuns())
        register_holdings(holdings.CERTIFICATE, holdings.Certificates())
        register_retirement_hook(self.label, retirement.delete_personal_data)

    def stored_files(self) -> Iterator[tuple[Storage, str]]:
        """Yield what ``badges_uninstall`` cannot know from file fields: storage and name of each document."""
        from credentials_config.issuing import documents  # noqa: PLC0415 -- models must be loaded

        return documents.stored_files()
