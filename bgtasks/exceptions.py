"""Everything that can go wrong, by name.

Exception
└─ BackgroundTaskError          the base of what bgtasks raises
   ├─ InvalidTaskError          raised by a task: it fails for good, now
   ├─ TaskArgumentError         the arguments cannot be stored (also a TypeError)
   └─ WorkerDied                recorded for a task whose worker process ended under it
BaseException
└─ TaskInterruption             raised inside a running task; `except Exception` must not swallow it
   ├─ TaskTimeout               the task ran longer than its `max_run_time`
   ├─ TaskInterrupted           the worker has to stop; the task is given back, not charged
   ├─ TaskCancelled             somebody cancelled the running task
   └─ ClaimLost                 the row has moved on: another process holds the task, or it was deleted
"""

from __future__ import annotations

from collections.abc import Sequence


class BackgroundTaskError(Exception):
    """Something about a background task is wrong; the message says what and what to do."""

    def __init__(self, message: str = "", errors: Sequence[object] | None = None) -> None:
        super().__init__(message)
        self.errors = errors


class InvalidTaskError(BackgroundTaskError):
    """Raise this in a task that can never succeed: it fails for good, without another attempt."""


class TaskArgumentError(BackgroundTaskError, TypeError):
    """An argument of a task cannot be stored as JSON; nothing was stored."""


class WorkerDied(BackgroundTaskError):
    """The worker process ended while it ran this task; the message holds the exact reason."""


class TaskInterruption(BaseException):
    """The base of what is raised inside a running task from outside. Let it pass; use `finally` to clean up."""


class TaskTimeout(TaskInterruption):
    """The task ran longer than its `max_run_time`. This attempt has failed."""


class TaskInterrupted(TaskInterruption):
    """The worker has to stop now. The task goes back to its queue and is not charged an attempt."""


class TaskCancelled(TaskInterruption):
    """The task was cancelled while it ran. It will not run again."""


class ClaimLost(TaskInterruption):
    """This worker no longer holds the task: it was taken over or deleted. Nothing will be written for it."""
