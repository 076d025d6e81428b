"""How far running tasks are: written beside their own transactions, and read from wherever they are by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bgtasks.models import CompletedTask, Task
from bgtasks.progress import Progress, progress_in
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.rows import id_list

FREE = "SELECT id FROM bgtasks_task {by_id} WHERE id IN ({ids}) AND status = 2 ORDER BY id"
WRITE = """
UPDATE bgtasks_task {by_id} SET progress = %(progress)s WHERE id = %(id)s AND claim = %(token)s AND status = 2
"""


def note_progress(told: Mapping[tuple[int, int], str]) -> set[int]:
    """Write what tasks, by (id, token), have told; return the ids that were free for it.

    Never waits for a row: one that the task's own transaction has locked is left for the next time.
    """
    db = engine()
    with db.transaction() as cursor:
        sql = FREE.format(by_id=db.by_id, ids=id_list(sorted(told))) + db.skip_locked
        free = {task_id for (task_id,) in db.execute(cursor, sql).fetchall()}
        for held in sorted(told):
            if held[0] in free:
                write_progress(db, cursor, held, told[held])
    return free


def write_progress(db: Engine, cursor: Any, held: tuple[int, int], text: str) -> None:
    """Write what a task has told, if its claim still stands."""
    db.execute(cursor, WRITE.format(by_id=db.by_id), id=held[0], token=held[1], progress=text)


def progress_of(task_id: int, task_name: str) -> Progress | None:
    """Return what a task of this name has told last, None if nothing yet. Raises LookupError for an unknown one."""
    for model in (Task, CompletedTask, Task):  # it moves to the history meanwhile, or back out of it
        row: Any = model.objects.using(alias()).filter(pk=task_id).values_list("task_name", "progress").first()
        if row is not None:
            break
    else:
        raise LookupError(f"task {task_id} is unknown here, or pruned from the history")
    if row[0] != task_name:
        raise LookupError(f"task {task_id} is a {row[0]}, not a {task_name}")
    return progress_in(row[1])
