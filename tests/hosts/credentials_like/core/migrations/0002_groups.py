"""A group of the host, given permissions that are looked up by their codenames alone."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

CODENAMES = ["add_usercredential", "change_usercredential", "view_usercredential"]


def create_group(apps: Any, schema_editor: Any) -> None:
    """Make the permissions of every app that the migrations know by now, then look three of them up."""
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for app_config in apps.get_app_configs():
        app_config.models_module = True
        create_permissions(app_config, verbosity=0, apps=apps)
        app_config.models_module = None
    group, _ = Group.objects.get_or_create(name="Admins")
    for codename in CODENAMES:
        group.permissions.add(Permission.objects.get(codename=codename))


class Migration(migrations.Migration):
    """Runs after the plugin's tables were made, when those were asked for first."""

    dependencies = [("core", "0001_initial"), ("credentials", "0001_initial")]
    operations = [migrations.RunPython(create_group, migrations.RunPython.noop)]
