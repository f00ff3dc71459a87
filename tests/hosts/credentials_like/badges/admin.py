"""The host's badges in the admin, beside the plugin's of the same names."""

from django.apps import apps
from django.contrib import admin

admin.site.register(list(apps.get_app_config("badges").get_models()))
