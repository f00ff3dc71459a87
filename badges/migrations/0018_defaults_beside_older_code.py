"""
What a database needs while processes of an older release still write to it.

Circuits that were open when their reason became a column have none. All of them were open because of an outage.
"""

from django.db import migrations, models


def name_the_reason(apps, schema_editor):
    circuits = apps.get_model("lms_badges", "Circuit").objects.using(schema_editor.connection.alias)
    circuits.filter(reason="", open_until__isnull=False).update(reason="outage")


class Migration(migrations.Migration):
    dependencies = [("lms_badges", "0017_reconciliation")]

    operations = [
        migrations.AlterField(
            model_name="badgerequirement",
            name="may_be_reset",
            field=models.BooleanField(db_default=False, default=False, editable=False, verbose_name="may be reset"),
        ),
        migrations.RunPython(name_the_reason, migrations.RunPython.noop, elidable=True),
    ]
