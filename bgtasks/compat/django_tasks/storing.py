"""From a call to a row: what `django.tasks` asks for, written by the queue in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bgtasks.arguments import encode, hash_of
from bgtasks.calls import announce_stored
from bgtasks.compat.django_tasks import api
from bgtasks.compat.django_tasks.results import READY, id_of
from bgtasks.compat.django_tasks.task import options_of
from bgtasks.models import Task
from bgtasks.queue import claims
from bgtasks.task_options import READERS


def store(backend: Any, task: Any, args: Any, kwargs: Any) -> Any:
    """Insert one row; return the result that stands for it. Raises TypeError for what JSON cannot hold."""
    result = _result(backend, task, args, kwargs)
    row = _row(backend, task, result)
    claims.enqueue(row)
    announce_stored(row)
    return _stored(result, row.pk, row.created_at)


def store_many(backend: Any, task: Any, calls: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Insert a row for each call; return the results in their order."""
    results = [_result(backend, task, args, kwargs) for args, kwargs in calls]
    rows = [_row(backend, task, result) for result in results]
    if not rows:
        return []
    created: list[Any] = []
    ids = claims.enqueue_many(
        rows[0],
        [(row.task_params, row.task_hash) for row in rows],
        lambda chunk, stored: created.extend([stored.created_at] * len(chunk)),
    )
    for row, task_id in zip(rows, ids, strict=True):
        row.pk = task_id
        announce_stored(row)
    return [_stored(*each) for each in zip(results, ids, created, strict=True)]


def _row(backend: Any, task: Any, result: Any) -> Task:
    params = encode(result.args, result.kwargs)
    limit = options_of(task).get("max_run_time", backend.given.get("MAX_RUN_TIME"))
    attempts = options_of(task).get("max_attempts", backend.given.get("MAX_ATTEMPTS"))
    return Task.request(
        task_name=task.module_path,
        task_params=params,
        task_hash=hash_of(task.module_path, params),
        run_at=task.run_after,
        priority=task.priority,
        queue=task.queue_name,
        max_attempts=attempts,
        max_run_time=None if limit is None else READERS["max_run_time"](limit),
        backend=backend.alias,
        headers=READERS["headers"](options_of(task).get("headers")) or "",
    )


def _result(backend: Any, task: Any, args: Any, kwargs: Any) -> Any:
    """Return the result of a task that is not stored yet."""
    nothing = dict.fromkeys(("enqueued_at", "started_at", "last_attempted_at", "finished_at"))
    return api.TaskResult(
        task=task, id="", status=READY, args=list(args), kwargs=dict(kwargs), backend=backend.alias,
        errors=[], worker_ids=[], **nothing,
    )  # fmt: skip


def _stored(result: Any, task_id: int, created_at: Any) -> Any:
    object.__setattr__(result, "id", id_of(task_id))
    object.__setattr__(result, "enqueued_at", created_at)
    return result
