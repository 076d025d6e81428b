"""Every failed attempt of a task, not only the last."""

from __future__ import annotations

from django.db import models


class TaskAttempt(models.Model):
    """One attempt that failed, and why."""

    # No foreign key: the row stays when its task moves to the history.
    task_id = models.BigIntegerField()
    attempt = models.IntegerField()
    worker = models.CharField(max_length=128, blank=True, default="")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField()
    exception = models.CharField(max_length=255, blank=True, default="", help_text="dotted path of its class")
    error = models.TextField(blank=True, default="")
    crashed = models.BooleanField(default=False, help_text="the worker process ended under it")
    announced = models.BooleanField(default=True, help_text="its signals were sent")

    class Meta:
        verbose_name = "attempt"
        indexes = [
            models.Index(fields=["task_id"], name="bgtasks_attempt_task"),
            models.Index(fields=["announced", "id"], name="bgtasks_attempt_announced"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.attempt} of task {self.task_id}"
