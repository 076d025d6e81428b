"""`background_task.tasks`: the `tasks` object with its ways of running a task in this process."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError

from bgtasks import registry
from bgtasks.compat import in_process
from bgtasks.discovery import autodiscover
from bgtasks.models import Task
from bgtasks.queue import claims
from bgtasks.tasks import BackgroundTask, DBTaskRunner, TaskProxy, TaskSchedule, background

logger = logging.getLogger("bgtasks.tasks")


class Tasks:
    """What django-background-tasks called `tasks`: decorates functions, and runs them here and now."""

    def __init__(self) -> None:
        self.background = background
        self._runner = Runner()

    @property
    def _tasks(self) -> dict[str, BackgroundTask[..., Any]]:
        """The known task functions by name."""
        return {name: task for name in registry.names() if (task := registry.get(name)) is not None}

    def run_task(
        self, task_name: str | Task, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Run a stored task, or a function by its name; then the waiting task with these arguments is over as well.

        Whatever it raises is recorded with the task. Raises KeyError for a name that nobody registered.
        """
        if isinstance(task_name, Task):
            self._run_stored(task_name.pk)
            return
        function = self._tasks[task_name]
        waiting = Task.objects.get_task(task_name, args, kwargs).filter(locked_by=None)
        if function.queue:
            waiting = waiting.filter(queue=function.queue)
        first = waiting.order_by("id").values_list("id", flat=True).first()
        if first is not None:
            self._run_stored(first)
        else:
            self._call(function, args or (), kwargs or {})

    def run_next_task(self, queue: str | None = None) -> bool:
        """Run the task that is next; False if there is none, or if the database is away, which is logged."""
        return self._runner.run_next_task(self, queue)

    def _run_stored(self, task_id: int) -> None:
        claim = claims.held(task_id) or claims.take(task_id, in_process.holder())
        outcome = None if claim is None else in_process.run(claim)
        if outcome is not None and outcome.error is not None:
            logger.error("task=%s name=%s failed\n%s", task_id, outcome.claim.task_name, outcome.error_text)

    def _call(self, function: BackgroundTask[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        try:
            function.now(*args, **kwargs)
        except Exception:
            logger.exception("name=%s failed; no stored task has these arguments", function.name)


class Runner(DBTaskRunner):
    """What `tasks._runner` was: claims in this process and runs what it claimed."""

    @property
    def worker_name(self) -> str:
        """Who claims."""
        return in_process.holder().name

    def get_task_to_run(self, tasks: Tasks, queue: str | None = None) -> Task | None:
        """Claim the task that is next and return it; None if there is none, or the database is away."""
        try:
            claim = in_process.next_claim(in_process.holder(queue=queue))
        except (OperationalError, InterfaceError) as error:
            logger.warning("no task could be claimed, the database is away: %s", error)
            return None
        return None if claim is None else Task.objects.using(claims.alias()).get(pk=claim.task_id)

    def run_task(self, tasks: Tasks, task: Task) -> None:
        """Run a task that was claimed here."""
        tasks.run_task(task)

    def run_next_task(self, tasks: Tasks, queue: str | None = None) -> bool:
        """Claim and run the task that is next; say whether there was one."""
        task = self.get_task_to_run(tasks, queue)
        if task is None:
            return False
        self.run_task(tasks, task)
        return True


tasks = Tasks()

__all__ = ["BackgroundTask", "DBTaskRunner", "TaskProxy", "TaskSchedule", "autodiscover", "background", "tasks"]
