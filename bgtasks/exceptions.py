"""Everything that can go wrong, by name.

Exception
└─ BackgroundTaskError          the base of what bgtasks raises
   ├─ InvalidTaskError          raised by a task: it fails for good, now
   ├─ TaskArgumentError         the arguments cannot be stored (also a TypeError)
   ├─ UnknownQueue              no queue has this name (also a LookupError)
   └─ WorkerDied                recorded for a task whose worker process ended under it
BaseException
└─ TaskInterruption             raised inside a running task; `except Exception` must not swallow it
   ├─ TaskTimeout               the task ran longer than its `max_run_time`
   ├─ TaskInterrupted           the worker has to stop; the task is given back, not charged
   ├─ TaskCancelled             somebody cancelled the running task
   └─ ClaimLost                 the row has moved on: another process holds the task, or it was deleted
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


class BackgroundTaskError(Exception):
    """Something about a background task is wrong; the message says what and what to do."""

    def __init__(self, message: str = "", errors: Sequence[object] | None = None) -> None:
        super().__init__(message)
        self.errors = errors


class InvalidTaskError(BackgroundTaskError):
    """Raise this in a task that can never succeed: it fails for good, without another attempt."""


class TaskArgumentError(BackgroundTaskError, TypeError):
    """An argument of a task cannot be stored as JSON; nothing was stored."""


class UnknownQueue(BackgroundTaskError, LookupError):
    """No queue has this name, or begins so; the message names those that come near."""

    def __init__(self, name: str, near: Sequence[str], known: Collection[str]) -> None:
        self.name, self.near = name, list(near)
        there = f"there are: {', '.join(sorted(known)[:10])}{', …' if len(known) > 10 else ''}"
        if near or not known:
            there = f"did you mean {' or '.join(map(repr, near))}?" if near else "no task was enqueued yet"
        what = f"no queue begins with {name[:-1]!r}" if name.endswith("*") else f"there is no queue {name!r}"
        super().__init__(f"{'no queue is left' if name == '*' else what}; {there}")


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
