"""The history: tasks that are over, under the id they had."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from bgtasks.models.creator import owned_by
from bgtasks.models.request import Request, Status


class CompletedTaskQuerySet(models.QuerySet["CompletedTask"]):
    """Questions about the history, chainable."""

    def created_by(self, creator: models.Model) -> CompletedTaskQuerySet:
        """Return the tasks this model instance asked for."""
        return self.filter(**owned_by(creator))

    def failed(self, within: timedelta | None = None) -> CompletedTaskQuerySet:
        """Return what failed or was cancelled, by `failed_at`."""
        failed = self.filter(failed_at__isnull=False)
        return failed if within is None else failed.filter(failed_at__gt=timezone.now() - within)

    def succeeded(self, within: timedelta | None = None) -> CompletedTaskQuerySet:
        """Return what succeeded, by `run_at`, which is when it ended."""
        succeeded = self.filter(failed_at__isnull=True)
        return succeeded if within is None else succeeded.filter(run_at__gt=timezone.now() - within)

    def cancelled(self) -> CompletedTaskQuerySet:
        """Return what was cancelled; it is among the failed too."""
        return self.filter(outcome=Status.CANCELLED)


class CompletedTask(Request):
    """One request that is over."""

    OUTCOMES = [(s.value, s.label) for s in (Status.SUCCESSFUL, Status.FAILED, Status.CANCELLED)]

    id = models.BigIntegerField(primary_key=True)
    run_at = models.DateTimeField(db_column="finished_at", default=timezone.now, help_text="when it ended")
    due_at = models.DateTimeField(null=True, blank=True, help_text="the time it was asked for")
    outcome = models.SmallIntegerField(choices=OUTCOMES, default=Status.SUCCESSFUL)
    result = models.TextField(null=True, blank=True)

    objects = CompletedTaskQuerySet.as_manager()

    class Meta:
        verbose_name = "completed task"
        indexes = [
            models.Index(fields=["task_hash"], name="bgtasks_completed_hash"),
            models.Index(fields=["outcome", "run_at"], name="bgtasks_completed_outcome"),
        ]

    def __str__(self) -> str:
        return f"{super().__str__()} - {self.run_at}"

    @property
    def finished_at(self) -> datetime:
        """When it ended."""
        return self.run_at

    @property
    def status(self) -> Status:
        """How it ended."""
        return Status(self.outcome)

    def locked_by_pid_running(self) -> bool | None:
        """Return None: nothing runs a task that is over."""
        return None
