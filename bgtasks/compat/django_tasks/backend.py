"""`DatabaseBackend`: `django.tasks` enqueues rows and reads results; the workers are those of `@background`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.core import checks
from django.db import transaction

from bgtasks.compat.django_tasks import api
from bgtasks.compat.django_tasks.task import DatabaseTask, options_of
from bgtasks.progress import Progress
from bgtasks.retries import read_backoff
from bgtasks.task_options import READERS
from bgtasks.waiting import await_until_over, wait_until_over

ALIAS_OPTIONS = ("MAX_ATTEMPTS", "BACKOFF", "MAX_RUN_TIME")
"""What `OPTIONS` of an alias may hold. The first two may stand beside `BACKEND`, as a proposal for Django has it."""


made: set[str] = set()
"""The path of every task that was made for a backend here: what a worker's start shows."""


class DatabaseBackend(api.BaseTaskBackend):
    """Stores tasks in the project's own database, in the caller's transaction."""

    task_class = DatabaseTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.given = {name: params[name] for name in ALIAS_OPTIONS[:2] if name in params} | self.options

    def validate_task(self, task: Any) -> None:
        """Raise InvalidTask for what could not be run."""
        super().validate_task(task)
        readers = {**READERS, "queue_name": READERS["queue"]}
        for name, value in {"queue_name": task.queue_name, **options_of(task)}.items():
            try:
                readers[name](value)
            except (TypeError, ValueError) as error:
                raise api.InvalidTask(f"{task.module_path}: {name}={value!r}: {error}") from None
        made.add(task.module_path)

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Store one task, at once and in the caller's transaction; return its result."""
        from bgtasks.compat.django_tasks import storing  # imports models; a backend is made before they are there

        self.validate_task(task)
        result = storing.store(self, task, args, kwargs)
        self.announce(result)
        return result

    def enqueue_many(self, task: Any, calls: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Store a task for each call, all or none; every call is checked before the first row is written."""
        from bgtasks.compat.django_tasks import storing  # imports models

        self.validate_task(task)
        results = storing.store_many(self, task, calls)
        for result in results:
            self.announce(result)
        return results

    def enqueue_on_commit(self, task: Any, args: Any, kwargs: Any) -> None:
        """Check one call now and store it when the transaction on `default` commits."""
        self.validate_task(task)
        transaction.on_commit(partial(self.enqueue, task, api.normalize_json(args), api.normalize_json(kwargs)))

    def get_result(self, result_id: Any) -> Any:
        """Return a result, from the history too. Raises TaskResultDoesNotExist; ImportError for a task that is gone."""
        from bgtasks.compat.django_tasks import results  # imports models

        task_id = results.read_id(result_id)
        row = None if task_id is None else results.find_row(task_id, self.alias)
        if row is None:
            raise api.TaskResultDoesNotExist(result_id)
        return results.result_of(row, results.attempts_of(row.pk))

    def cancel(self, result: Any) -> bool:
        """End a task, or ask for its end; False if it is over."""
        from bgtasks.compat.django_tasks import results
        from bgtasks.queue import claims  # imports models

        return claims.cancel(results.read_id(result.id))

    def progress(self, result: Any) -> Progress | None:
        """Return what a task has told last of how far it is."""
        from bgtasks.compat.django_tasks import results
        from bgtasks.queue import claims  # imports models

        return claims.progress_of(results.read_id(result.id), result.task.module_path)

    def wait(self, result: Any, timeout: float | None) -> Any:
        """Return the result once the task is over. Raises TimeoutError."""
        from bgtasks.compat.django_tasks import results  # imports models

        return wait_until_over(results.read_id(result.id), partial(self._over, result.id), timeout)

    async def await_(self, result: Any, timeout: float | None) -> Any:
        """Do the same from a coroutine."""
        from bgtasks.compat.django_tasks import results  # imports models

        return await await_until_over(results.read_id(result.id), partial(self._over, result.id), timeout)

    def _over(self, result_id: str) -> Any:
        from bgtasks.queue import claims  # imports models

        result = self.get_result(result_id)
        if result.is_finished:
            return result
        claims.ask_other_hosts()
        return None

    def check(self, **kwargs: Any) -> Iterable[checks.CheckMessage]:
        """Name options that nobody reads, and values that cannot be."""
        yield from super().check(**kwargs)
        for name, value in self.given.items():
            if name not in ALIAS_OPTIONS:
                near = difflib.get_close_matches(name, ALIAS_OPTIONS, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(ALIAS_OPTIONS)}"
                yield checks.Error(f"TASKS[{self.alias!r}]: {name!r} is no option", hint=hint, id="bgtasks.E008")
                continue
            try:
                read_backoff(value) if name == "BACKOFF" else READERS[name.lower()](value)
            except (TypeError, ValueError) as error:
                yield checks.Error(f"TASKS[{self.alias!r}]: {name!r}: {error}", id="bgtasks.E008")

    def announce(self, result: Any) -> None:
        """Tell that a task was stored."""
        api.task_enqueued.send_robust(sender=type(self), task_result=result)
