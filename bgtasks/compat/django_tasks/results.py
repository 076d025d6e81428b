"""A `TaskResult` made of rows: the live one or that of the history, and the failed attempts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.module_loading import import_string

from bgtasks.compat.django_tasks import api
from bgtasks.compat.django_tasks.task import like
from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from bgtasks.queue import claims

READY, RUNNING = api.TaskResultStatus.READY, api.TaskResultStatus.RUNNING
SUCCESSFUL, FAILED = api.TaskResultStatus.SUCCESSFUL, api.TaskResultStatus.FAILED
STATUSES = {
    Status.SCHEDULED: READY,
    Status.READY: READY,
    Status.HELD: READY,
    Status.RUNNING: RUNNING,
    Status.SUCCESSFUL: SUCCESSFUL,
    Status.FAILED: FAILED,
    Status.CANCELLED: FAILED,
}
CANCELLED = "bgtasks.exceptions.TaskCancelled"
_ID = re.compile(r"t(\d{1,18})")


def id_of(task_id: int) -> str:
    """Return how `django.tasks` calls a task: never a bare number, which tests and people make up."""
    return f"t{task_id}"


def read_id(result_id: Any) -> int | None:
    """Return the row's id that a result's id stands for, None if it cannot be one of ours. Asks no database."""
    found = _ID.fullmatch(result_id) if isinstance(result_id, str) else None
    return int(found[1]) if found else None


def find_row(task_id: int, alias: str) -> Task | CompletedTask | None:
    """Return the row of a task of this backend, wherever it is now."""
    for model in (Task, CompletedTask, Task):  # it moves to the history meanwhile, or back out of it
        found = model.objects.using(claims.alias()).filter(pk=task_id, backend=alias).first()
        if found is not None:
            return found  # type: ignore[no-any-return]
    return None


def attempts_of(task_id: int) -> list[TaskAttempt]:
    """Return the failed attempts of a task, the oldest first."""
    return list(TaskAttempt.objects.using(claims.alias()).filter(task_id=task_id).order_by("attempt", "id"))


def task_named(name: str) -> Any:
    """Return the Task that a row names. Raises ImportError; anything but a Task of that very path is none."""
    found = import_string(name)
    if not isinstance(found, api.Task) or found.module_path != name:
        raise ImportError(f"{name} is no task of django.tasks")
    return found


def result_of(row: Any, attempts: Sequence[TaskAttempt], task: Any = None) -> Any:
    """Return the result that a row stands for. Raises ImportError if its task cannot be imported."""
    args, kwargs = row.params()
    status = STATUSES[Status(row.status)]
    starts = [each.started_at for each in attempts if each.started_at] + ([row.locked_at] if row.locked_at else [])
    ended = row.finished_at if isinstance(row, CompletedTask) else None
    result = api.TaskResult(
        task=_as_enqueued(task or task_named(row.task_name), row),
        id=id_of(row.pk),
        status=status,
        enqueued_at=row.created_at,
        started_at=_not_before(row.created_at, min(starts, default=None)),
        last_attempted_at=_not_before(row.created_at, max(starts, default=None)),
        finished_at=_not_before(max(starts, default=row.created_at), ended),
        args=args,
        kwargs=kwargs,
        backend=row.backend,
        errors=_errors(row, attempts),
        worker_ids=_worker_ids(row, attempts),
    )
    if status is SUCCESSFUL:
        keep_value(result, row.result)
    return result


def keep_value(result: Any, kept: str | None) -> None:
    """Let a result hold what its function returned."""
    object.__setattr__(result, "_return_value", None if kept is None else json.loads(kept))


def _as_enqueued(task: Any, row: Any) -> Any:
    due = row.due_at or row.run_at
    run_after = None if due is None or due == row.created_at else due
    return like(task, priority=row.priority, queue_name=row.queue, backend=row.backend, run_after=run_after)


def _not_before(earliest: datetime | None, at: datetime | None) -> datetime | None:
    """Return a time as it is told: clocks of several hosts differ, and time never runs backwards here."""
    return at if at is None or earliest is None else max(earliest, at)


def _errors(row: Any, attempts: Sequence[TaskAttempt]) -> list[Any]:
    errors = [api.TaskError(exception_class_path=each.exception, traceback=each.error) for each in attempts]
    if row.status == Status.CANCELLED and not (errors and errors[-1].exception_class_path == CANCELLED):
        errors.append(api.TaskError(exception_class_path=CANCELLED, traceback=row.last_error or "cancelled"))
    return errors


def _worker_ids(row: Any, attempts: Sequence[TaskAttempt]) -> list[str]:
    """Return a worker for each attempt that counts: those that failed are recorded, the last is in the row itself."""
    workers = [each.worker for each in attempts]
    if row.locked_by and row.attempts > len(workers):
        workers.append(row.locked_by)
    return workers
