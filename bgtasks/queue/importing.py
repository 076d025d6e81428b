"""Taking over the rows of another package as they are: what waits becomes live, what is over goes into the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def taken_over(legacy_ids: Sequence[int], *, is_history: bool) -> set[int]:
    """Return which of these old ids, of tasks or of the old history, were taken over before."""
    using = engine().connection.alias
    # what came out of the old history was never created here
    over = CompletedTask.objects.using(using).filter(legacy_id__in=legacy_ids, created_at__isnull=is_history)
    found = set(over.values_list("legacy_id", flat=True))
    if not is_history:
        found |= set(Task.objects.using(using).filter(legacy_id__in=legacy_ids).values_list("legacy_id", flat=True))
    return {legacy_id for legacy_id in found if legacy_id is not None}


def _reserved(db: Engine, count: int) -> list[int]:
    """Return ids that will not be given again: those of rows that nobody ever sees."""
    stored = db.insert_many(request_of(Task.request(task_name="")), None, [("[]", "-")] * count)
    with db.connection.cursor() as cursor:
        ids: list[tuple[Any, ...]] = [(task_id,) for task_id in stored.ids]
        db.execute(cursor, DELETE.format(delete_task=db.delete_task, ids=id_list(ids)))
    return stored.ids
