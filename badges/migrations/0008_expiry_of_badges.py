import django.db.models.deletion
from django.db import migrations, models

CAUSES = [
    ('event', 'learning event'),
    ('condition', 'badge condition'),
    ('time', 'time passed'),
    ('expired', 'badge expired'),
    ('person', 'person'),
    ('program', 'other code'),
]


class Migration(migrations.Migration):

    dependencies = [
        ('lms_badges', '0007_bulk_rows'),
    ]

    operations = [
        migrations.RemoveConstraint(model_name='usercredential', name='lms_badges_active_while_awarded'),
        migrations.AddField(
            model_name='usercredential',
            name='ended_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='ended'),
        ),
        migrations.AddField(
            model_name='usercredential',
            name='replaces',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='lms_badges.usercredential', verbose_name='replaces'),
        ),
        migrations.AddField(
            model_name='usercredential',
            name='valid_until',
            field=models.DateTimeField(blank=True, null=True, verbose_name='valid until'),
        ),
        migrations.AlterField(
            model_name='fulfillment',
            name='cause_kind',
            field=models.CharField(choices=CAUSES, max_length=10, verbose_name='cause'),
        ),
        migrations.AlterField(
            model_name='fulfillment',
            name='reset_kind',
            field=models.CharField(blank=True, choices=CAUSES, max_length=10, null=True, verbose_name='cause of the reset'),
        ),
        migrations.AlterField(
            model_name='usercredential',
            name='cause_kind',
            field=models.CharField(choices=CAUSES, max_length=10, verbose_name='cause'),
        ),
        migrations.AlterField(
            model_name='usercredential',
            name='revocation_kind',
            field=models.CharField(blank=True, choices=CAUSES, max_length=10, verbose_name='cause of the revocation'),
        ),
        migrations.AlterField(
            model_name='usercredential',
            name='status',
            field=models.CharField(choices=[('awarded', 'awarded'), ('revoked', 'revoked'), ('expired', 'expired'), ('replaced', 'replaced')], max_length=10, verbose_name='status'),
        ),
        migrations.AddIndex(
            model_name='usercredential',
            index=models.Index(fields=['active_key', 'valid_until'], name='lms_badges_credential_ends'),
        ),
        migrations.AddConstraint(
            model_name='usercredential',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('active_key', 'active'), ('active_key__isnull', False), ('status', 'awarded')), models.Q(('active_key__isnull', True), ('status__in', ['revoked', 'expired', 'replaced'])), _connector='OR'), name='lms_badges_active_while_awarded'),
        ),
        migrations.AddConstraint(
            model_name='usercredential',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', False), ('status__in', ['expired', 'replaced']), ('valid_until__isnull', False)), models.Q(models.Q(('status__in', ['expired', 'replaced']), _negated=True), ('ended_at__isnull', True)), _connector='OR'), name='lms_badges_ended_credential'),
        ),
    ]
