"""The tables of the first release."""

import bgtasks.models.creator
import django.db.models.expressions
import django.db.models.functions.comparison
import django.utils.timezone
from django.db import migrations, models

from bgtasks.migrations._claim_indexes import CreateClaimIndexes


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.CreateModel(
            name='Queue',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=190)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('paused_at', models.DateTimeField(blank=True, null=True)),
                ('paused_until', models.DateTimeField(blank=True, null=True)),
                ('paused_by', models.CharField(blank=True, default='', max_length=255)),
                ('pause_reason', models.CharField(blank=True, default='', max_length=255)),
            ],
            options={
                'verbose_name': 'queue',
                'constraints': [models.UniqueConstraint(fields=('name',), name='bgtasks_queue_name')],
            },
        ),
        migrations.CreateModel(
            name='TaskAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task_id', models.BigIntegerField()),
                ('attempt', models.IntegerField()),
                ('worker', models.CharField(blank=True, default='', max_length=128)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField()),
                ('exception', models.CharField(blank=True, default='', help_text='dotted path of its class', max_length=255)),
                ('error', models.TextField(blank=True, default='')),
                ('crashed', models.BooleanField(default=False, help_text='the worker process ended under it')),
                ('announced', models.BooleanField(default=True, help_text='its signals were sent')),
            ],
            options={
                'verbose_name': 'attempt',
                'indexes': [models.Index(fields=['task_id'], name='bgtasks_attempt_task'), models.Index(fields=['announced', 'id'], name='bgtasks_attempt_announced')],
            },
        ),
        migrations.CreateModel(
            name='WorkerProcess',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='host:instance:slot:nonce', max_length=128)),
                ('host', models.CharField(max_length=255)),
                ('instance', models.CharField(blank=True, default='', max_length=100)),
                ('slot', models.IntegerField(default=0)),
                ('pid', models.IntegerField()),
                ('boot_id', models.CharField(blank=True, default='', max_length=64)),
                ('pid_namespace', models.CharField(blank=True, default='', max_length=64)),
                ('start_ticks', models.BigIntegerField(default=0, help_text='start time of the process, in clock ticks since boot')),
                ('version', models.CharField(blank=True, default='', max_length=32)),
                ('queues', models.TextField(blank=True, default='', help_text='comma-separated; empty: all')),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('last_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'verbose_name': 'worker process',
                'verbose_name_plural': 'worker processes',
                'constraints': [models.UniqueConstraint(fields=('name',), name='bgtasks_worker_name')],
            },
        ),
        migrations.CreateModel(
            name='CompletedTask',
            fields=[
                ('task_name', models.CharField(max_length=255)),
                ('task_params', models.TextField()),
                ('task_hash', models.CharField(max_length=40)),
                ('verbose_name', models.CharField(blank=True, max_length=255, null=True)),
                ('priority', models.IntegerField(default=0)),
                ('repeat', models.BigIntegerField(default=0, help_text='seconds; 0: never')),
                ('repeat_until', models.DateTimeField(blank=True, null=True)),
                ('queue', models.CharField(default='default', max_length=190)),
                ('attempts', models.IntegerField(default=0)),
                ('crashes', models.SmallIntegerField(default=0)),
                ('max_attempts', models.IntegerField(blank=True, null=True)),
                ('max_run_time', models.IntegerField(blank=True, help_text='seconds; 0: no limit', null=True)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
                ('last_error', models.TextField(blank=True, default='')),
                ('locked_by', models.CharField(blank=True, max_length=128, null=True)),
                ('locked_at', models.DateTimeField(blank=True, null=True)),
                ('creator_object_id', models.CharField(blank=True, max_length=255, null=True)),
                ('created_at', models.DateTimeField(blank=True, null=True)),
                ('headers', models.TextField(blank=True, default='')),
                ('progress', models.TextField(blank=True, null=True)),
                ('backend', models.CharField(blank=True, default='', max_length=64)),
                ('legacy_id', models.BigIntegerField(blank=True, null=True)),
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('run_at', models.DateTimeField(db_column='finished_at', default=django.utils.timezone.now, help_text='when it ended')),
                ('due_at', models.DateTimeField(blank=True, help_text='the time it was asked for', null=True)),
                ('outcome', models.SmallIntegerField(choices=[(10, 'successful'), (11, 'failed'), (12, 'cancelled')], default=10)),
                ('result', models.TextField(blank=True, null=True)),
                ('creator_content_type', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=bgtasks.models.creator.forget_type, related_name='+', to='contenttypes.contenttype')),
            ],
            options={
                'verbose_name': 'completed task',
                'indexes': [models.Index(fields=['task_hash'], name='bgtasks_completed_hash'), models.Index(fields=['outcome', 'run_at'], name='bgtasks_completed_outcome')],
            },
        ),
        migrations.CreateModel(
            name='Task',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task_name', models.CharField(max_length=255)),
                ('task_params', models.TextField()),
                ('task_hash', models.CharField(max_length=40)),
                ('verbose_name', models.CharField(blank=True, max_length=255, null=True)),
                ('priority', models.IntegerField(default=0)),
                ('repeat', models.BigIntegerField(default=0, help_text='seconds; 0: never')),
                ('repeat_until', models.DateTimeField(blank=True, null=True)),
                ('queue', models.CharField(default='default', max_length=190)),
                ('attempts', models.IntegerField(default=0)),
                ('crashes', models.SmallIntegerField(default=0)),
                ('max_attempts', models.IntegerField(blank=True, null=True)),
                ('max_run_time', models.IntegerField(blank=True, help_text='seconds; 0: no limit', null=True)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
                ('last_error', models.TextField(blank=True, default='')),
                ('locked_by', models.CharField(blank=True, max_length=128, null=True)),
                ('locked_at', models.DateTimeField(blank=True, null=True)),
                ('creator_object_id', models.CharField(blank=True, max_length=255, null=True)),
                ('created_at', models.DateTimeField(blank=True, null=True)),
                ('headers', models.TextField(blank=True, default='')),
                ('progress', models.TextField(blank=True, null=True)),
                ('backend', models.CharField(blank=True, default='', max_length=64)),
                ('legacy_id', models.BigIntegerField(blank=True, null=True)),
                ('run_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('status', models.SmallIntegerField(choices=[(0, 'scheduled'), (1, 'ready'), (2, 'running'), (3, 'held'), (10, 'successful'), (11, 'failed'), (12, 'cancelled')], default=1, editable=False)),
                ('priority_sign', models.SmallIntegerField(default=-1, editable=False)),
                ('claim_order', models.GeneratedField(db_persist=True, expression=django.db.models.expressions.CombinedExpression(django.db.models.functions.comparison.Cast('priority', models.BigIntegerField()), '*', models.F('priority_sign')), output_field=models.BigIntegerField())),
                ('claim', models.BigIntegerField(blank=True, editable=False, null=True)),
                ('locked_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('unique_key', models.CharField(blank=True, max_length=255, null=True)),
                ('limit_key', models.CharField(blank=True, max_length=190, null=True)),
                ('creator_content_type', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=bgtasks.models.creator.forget_type, related_name='+', to='contenttypes.contenttype')),
            ],
            options={
                'verbose_name': 'task',
                'indexes': [models.Index(fields=['task_hash'], name='bgtasks_task_hash')],
                'constraints': [models.UniqueConstraint(fields=('unique_key',), name='bgtasks_task_unique_key')],
            },
        ),
        CreateClaimIndexes(),
    ]
