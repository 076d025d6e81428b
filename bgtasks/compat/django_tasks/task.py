"""`DatabaseTask`: a `django.tasks` Task with our options, and a decorator that takes them on every version."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from bgtasks.compat.django_tasks import api
from bgtasks.context import TaskContext, current_context
from bgtasks.progress import Progress
from bgtasks.retries import Backoff

OPTIONS = ("max_attempts", "max_run_time", "backoff", "atomic", "settle", "headers")
"""What a DatabaseTask has beside the standard fields, and the decorator takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTask(api.Task):
    """A task of `DatabaseBackend`. Every option that is None is that of the alias, else the setting."""

    run_after: datetime | None = None
    max_attempts: int | None = None
    max_run_time: float | timedelta | str | None = None
    """Seconds, or as `@background` takes it."""
    backoff: Backoff | None = None
    """Seconds, or `(exception, task_result) -> seconds | None`; None ends the retries."""
    atomic: bool | None = None
    settle: str | None = None
    headers: Mapping[str, Any] | None = field(default=None, compare=False)
    """What travels with the row; no part of what the task is."""

    # `super()` without arguments fails in a slotted dataclass up to Python 3.13: the base is called by its name.

    def using(
        self,
        *,
        run_after: datetime | timedelta | None = None,
        headers: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> DatabaseTask:
        """Return a copy with another priority, queue_name, run_after, backend or headers; a timedelta is from now."""
        if isinstance(run_after, timedelta):
            run_after = timezone.now() + run_after
        changed: DatabaseTask = api.Task.using(self, run_after=run_after, **given)
        return changed if headers is None else replace(changed, headers=headers)

    def enqueue_many(self, calls: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Store a task for each `(args, kwargs)`, all or none; return their results in the order of the calls."""
        results: list[Any] = self.get_backend().enqueue_many(self, calls)
        return results

    def enqueue_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """Check the call now, store it when the transaction on `default` commits; outside of one, at once."""
        self.get_backend().enqueue_on_commit(self, args, kwargs)

    def cancel(self, result_id: str) -> bool:
        """End a waiting task, ask for the end of a running one; False if it was over. Raises as `get_result` does."""
        return bool(self.get_backend().cancel(self.get_result(result_id)))

    def progress(self, result_id: str) -> Progress | None:
        """Return what a task has told last of how far it is, None: nothing. Raises as `get_result` does."""
        told: Progress | None = self.get_backend().progress(self.get_result(result_id))
        return told

    def wait(self, result_id: str, timeout: float | None = None) -> Any:
        """Return the result when the task is over. Raises TimeoutError after so many seconds, else as `get_result`."""
        return self.get_backend().wait(self.get_result(result_id), timeout)

    async def await_(self, result_id: str, timeout: float | None = None) -> Any:
        """Do the same from a coroutine: others run meanwhile."""
        return await self.get_backend().await_(await self.aget_result(result_id), timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTaskContext(api.TaskContext):
    """What a task with `takes_context` is given: Django's context, and ours."""

    run: TaskContext = field(default_factory=current_context)

    @property
    def headers(self) -> dict[str, Any]:
        """What was given to `using(headers=…)`."""
        return self.run.headers

    def should_stop(self) -> bool:
        """Say whether somebody wants this task to end."""
        return self.run.should_stop()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far this task is."""
        self.run.progress(done, total, message)


def task(
    function: Callable[..., Any] | None = None,
    *,
    priority: int = 0,
    queue_name: str = "default",
    backend: str = "default",
    takes_context: bool = False,
    **options: Any,
) -> Any:
    """Make a `django.tasks` task, as Django's own decorator does; options go to the backend's class of tasks.

    Django 6.0 refuses options; this takes them there too. Raises TypeError for one that the class does not have.
    """
    if "run_after" in options:
        raise TypeError("run_after cannot be fixed in a decorator: use .using(run_after=...)")

    def decorate(function: Callable[..., Any]) -> Any:
        kind = api.task_backends[backend].task_class
        standard = {"priority": priority, "queue_name": queue_name, "backend": backend, "takes_context": takes_context}
        return kind(func=function, run_after=None, **standard, **options)

    return decorate if function is None else decorate(function)


def like(task: Any, **columns: Any) -> Any:
    """Return the task with the values of a stored row, which may be none that could be enqueued today."""
    made = object.__new__(type(task))  # `replace` would have the backend validate them
    for each in dataclasses.fields(task):
        object.__setattr__(made, each.name, columns.get(each.name, getattr(task, each.name)))
    return made


def options_of(task: Any) -> dict[str, Any]:
    """Return the options of ours that a task sets; of a class without them, none."""
    fields = {field.name for field in dataclasses.fields(task)}
    return {name: value for name in OPTIONS if name in fields and (value := getattr(task, name)) is not None}
