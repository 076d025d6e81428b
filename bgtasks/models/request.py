"""What a live task and a completed one have in common: the function asked for, its arguments, and by whom."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models

from bgtasks import conf
from bgtasks.arguments import decode
from bgtasks.models.creator import CreatorKey, forget_type

DEFAULT_QUEUE = "default"


class Status(models.IntegerChoices):
    """Where a task is. The last three are endings, and occur in the history alone."""

    # Waits for its time; maintenance makes it ready when it is due.
    SCHEDULED = 0, "scheduled"
    # Due: the next worker with room claims it.
    READY = 1, "ready"
    # Claimed by a worker.
    RUNNING = 2, "running"
    # Due, but waiting for a limit's free place.
    HELD = 3, "held"
    SUCCESSFUL = 10, "successful"
    FAILED = 11, "failed"
    CANCELLED = 12, "cancelled"


WAITING = (Status.SCHEDULED, Status.READY, Status.HELD)


class Request(models.Model):
    """The columns of a request to run a function, on `Task` and `CompletedTask` alike."""

    NEVER = 0
    HOURLY = 3600
    DAILY = 24 * HOURLY
    WEEKLY = 7 * DAILY
    EVERY_2_WEEKS = 2 * WEEKLY
    EVERY_4_WEEKS = 4 * WEEKLY
    REPEAT_CHOICES = (
        (HOURLY, "hourly"),
        (DAILY, "daily"),
        (WEEKLY, "weekly"),
        (EVERY_2_WEEKS, "every 2 weeks"),
        (EVERY_4_WEEKS, "every 4 weeks"),
        (NEVER, "never"),
    )

    task_name = models.CharField(max_length=255)
    task_params = models.TextField()
    task_hash = models.CharField(max_length=40)
    verbose_name = models.CharField(max_length=255, null=True, blank=True)
    priority = models.IntegerField(default=0)
    repeat = models.BigIntegerField(default=NEVER, help_text="seconds; 0: never")
    repeat_until = models.DateTimeField(null=True, blank=True)
    queue = models.CharField(max_length=190, default=DEFAULT_QUEUE)
    attempts = models.IntegerField(default=0)
    crashes = models.SmallIntegerField(default=0)
    max_attempts = models.IntegerField(null=True, blank=True)
    max_run_time = models.IntegerField(null=True, blank=True, help_text="seconds; 0: no limit")
    failed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    locked_by = models.CharField(max_length=128, null=True, blank=True)
    locked_at = models.DateTimeField(null=True, blank=True)
    # Neither a constraint nor an index: both would be paid at every enqueue.
    creator_content_type = models.ForeignKey(
        ContentType,
        null=True,
        blank=True,
        related_name="+",
        on_delete=forget_type,
        db_constraint=False,
        db_index=False,
    )
    creator_object_id = models.CharField(max_length=255, null=True, blank=True)
    creator = CreatorKey("creator_content_type", "creator_object_id")
    created_at = models.DateTimeField(null=True, blank=True)
    headers = models.TextField(blank=True, default="")
    progress = models.TextField(null=True, blank=True)  # JSON; of the attempt that runs, or of the last one
    backend = models.CharField(max_length=64, blank=True, default="")
    legacy_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.verbose_name or self.task_name

    def params(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments, decoded, as (args, kwargs)."""
        return decode(self.task_params)

    def has_error(self) -> bool:
        """Return whether an attempt has failed."""
        return bool(self.last_error)

    def has_reached_max_attempts(self) -> bool:
        """Return whether no attempt is left; 0 and 1 both mean one."""
        allowed = conf.current().max_attempts if self.max_attempts is None else self.max_attempts
        return self.attempts >= max(1, allowed)

    def is_repeating_task(self) -> bool:
        """Return whether a repetition follows when this one is over."""
        return self.repeat > self.NEVER
