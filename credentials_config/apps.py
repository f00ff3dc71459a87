"""The Django app of scheduled credentials, and how it plugs into a host."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from edx_django_utils.plugins.constants import PluginSettings, PluginURLs

_SETTINGS = {
    kind: {PluginSettings.RELATIVE_PATH: "plugin_settings"} for kind in ("base", "production", "devstack", "test")
}
_URLS = {PluginURLs.NAMESPACE: "lms_credentials_config", PluginURLs.REGEX: r"", PluginURLs.RELATIVE_PATH: "urls"}


class CredentialsConfigConfig(AppConfig):
    """Scheduled credentials as a plugin of the credentials service; needs the badges plugin."""

    name = "credentials_config"
    label = "lms_credentials_config"
    verbose_name = _("Scheduled credentials")
    default_auto_field = "django.db.models.BigAutoField"

    plugin_app = {
        PluginURLs.CONFIG: {"credentials.djangoapp": _URLS, "lms.djangoapp": _URLS},
        PluginSettings.CONFIG: {
            "credentials.djangoapp": _SETTINGS,
            "lms.djangoapp": {**_SETTINGS, "common": _SETTINGS["base"]},
        },
    }

    def ready(self) -> None:
        from credentials_config import checks  # noqa: F401, PLC0415 -- registers the system checks
        from credentials_config.issuing import periodic  # noqa: PLC0415 -- models must be loaded

        periodic.connect()
