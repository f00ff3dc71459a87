"""The Django app, and how it plugs into a host."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from badges.common.plugin import as_plugin
from badges.common.retirement import register_retirement_hook


class BadgesConfig(AppConfig):
    """Badges as a plugin of the credentials service, which itself has an app with the label ``badges``."""

    name = "badges"
    label = "lms_badges"
    verbose_name = _("Badges plugin")
    default_auto_field = "django.db.models.BigAutoField"

    plugin_app = as_plugin("lms_badges")

    def ready(self) -> None:
        # Imported here, because models must be loaded first.
        from badges import checks, pipeline, retirement  # noqa: F401, PLC0415 -- registers the system checks
        from badges.catalog import versions  # noqa: F401, PLC0415 -- bumps the version when rows are saved
        from badges.intake import receivers  # noqa: PLC0415

        receivers.connect(pipeline.receive)
        register_retirement_hook(self.label, retirement.delete_personal_data)
