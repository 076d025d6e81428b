"""Who runs tasks, and where: a row per worker process, and a row per queue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import models
from django.utils import timezone


class WorkerProcess(models.Model):
    """A worker that has begun and has not been seen to end."""

    name = models.CharField(max_length=128, help_text="host:instance:slot:nonce")
    host = models.CharField(max_length=255)
    instance = models.CharField(max_length=100, blank=True, default="")
    slot = models.IntegerField(default=0)
    pid = models.IntegerField()
    boot_id = models.CharField(max_length=64, blank=True, default="")
    pid_namespace = models.CharField(max_length=64, blank=True, default="")
    start_ticks = models.BigIntegerField(default=0, help_text="start time of the process, in clock ticks since boot")
    version = models.CharField(max_length=32, blank=True, default="")
    queues = models.TextField(blank=True, default="", help_text="comma-separated; empty: all")
    started_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "worker process"
        verbose_name_plural = "worker processes"
        constraints = [models.UniqueConstraint(fields=["name"], name="bgtasks_worker_name")]

    def __str__(self) -> str:
        return self.name


class QueueQuerySet(models.QuerySet["Queue"]):
    """Questions about queues."""

    def ensure(self, names: Iterable[str]) -> None:
        """Make a row for each name that has none; a claim without a filter looks where rows are."""
        missing = sorted(set(names) - set(self.filter(name__in=names).values_list("name", flat=True)))
        self.bulk_create([Queue(name=name) for name in missing], ignore_conflicts=True)

    def paused(self) -> QueueQuerySet:
        """Return the queues from which nothing is claimed at present."""
        now = timezone.now()
        return self.filter(paused_at__isnull=False).exclude(paused_until__lte=now)


class Queue(models.Model):
    """A label workers can choose by, and whether it is paused."""

    name = models.CharField(max_length=190)
    created_at = models.DateTimeField(default=timezone.now)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=255, blank=True, default="")
    pause_reason = models.CharField(max_length=255, blank=True, default="")

    objects = QueueQuerySet.as_manager()

    class Meta:
        verbose_name = "queue"
        constraints = [models.UniqueConstraint(fields=["name"], name="bgtasks_queue_name")]

    def __str__(self) -> str:
        return self.name

    def is_paused(self, now: datetime | None = None) -> bool:
        """Return whether nothing is claimed from it at present."""
        now = now or timezone.now()
        return self.paused_at is not None and (self.paused_until is None or self.paused_until > now)
