"""Taking over the rows of another package as they are: what waits becomes live, what is over goes into the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from bgtasks import waking
from bgtasks.models import CompletedTask, Task
from bgtasks.models.request import Request
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.request import request_of
from bgtasks.queue.rows import id_list

DELETE = "{delete_task} WHERE id IN ({ids})"


def take_over(rows: Sequence[Request]) -> None:
    """Insert unsaved tasks and completed ones, all or none. What is over gets an id that no task will ever have."""
    db = engine()
    waiting = [row for row in rows if isinstance(row, Task)]
    over = [row for row in rows if isinstance(row, CompletedTask)]
    with db.whole():
        if waiting:
            Task.objects.using(db.connection.alias).bulk_create(waiting)
            waking.ready(db.connection, "")
        if over:
            for row, task_id in zip(over, _reserved(db, len(over)), strict=True):
                row.id = task_id
            CompletedTask.objects.using(db.connection.alias).bulk_create(over)


def taken_over(legacy_ids: Sequence[int], *, is_history: bool) -> set[tuple[int, str]]:
    """Return which of these old ids, of tasks or of the old history, were taken over before, with their tasks' names.

    The names tell apart what a table made anew has numbered from the start again.
    """
    found = _taken_over(is_history=is_history)
    return {
        pair for rows in found for pair in rows.filter(legacy_id__in=legacy_ids).values_list("legacy_id", "task_name")
    }


def has_taken_over(*, is_history: bool) -> bool:
    """Say whether anything was taken over before: no column that says what has an index."""
    return any(rows.exists() for rows in _taken_over(is_history=is_history))


def _taken_over(*, is_history: bool) -> list[QuerySet[Any]]:
    using = engine().connection.alias
    # what came out of the old history was never created here
    over = CompletedTask.objects.using(using).filter(legacy_id__isnull=False, created_at__isnull=is_history)
    return [over] if is_history else [over, Task.objects.using(using).filter(legacy_id__isnull=False)]


def _reserved(db: Engine, count: int) -> list[int]:
    """Return ids that will not be given again: those of rows that nobody ever sees."""
    stored = db.insert_many(request_of(Task.request(task_name="")), None, [("[]", "-")] * count)
    with db.connection.cursor() as cursor:
        ids: list[tuple[Any, ...]] = [(task_id,) for task_id in stored.ids]
        db.execute(cursor, DELETE.format(delete_task=db.delete_task, ids=id_list(ids)))
    return stored.ids
