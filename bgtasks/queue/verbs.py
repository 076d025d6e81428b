"""What people do to tasks: run now, raise or lower, retry, delete (and `cancelling`). Each is one transaction,
or a part of the caller's: the admin works inside of one, and so does everything under ATOMIC_REQUESTS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bgtasks import waking
from bgtasks.models import CompletedTask, Task, TaskAttempt
from bgtasks.models.tasks import sign_for
from bgtasks.queue.copies import insert_again
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import id_list
from bgtasks.queue.upkeep import database_now

LOCK = "SELECT id FROM bgtasks_task {by_id} WHERE id IN ({ids}) AND status IN (0, 1, 3) ORDER BY id"
RUN_NOW = """
UPDATE bgtasks_task {by_id} SET status = 1, due_at = NULL, run_at = CASE WHEN run_at > {now} THEN {now} ELSE run_at END
WHERE id IN ({ids}) AND status IN (0, 1, 3)
"""
CHANGE_PRIORITY = """
UPDATE bgtasks_task {by_id} SET priority = priority + %(delta)s
WHERE id IN ({ids}) AND priority BETWEEN %(lowest)s AND %(highest)s
"""
DELETE = "{delete_task} WHERE id IN ({ids}) AND status IN (0, 1, 3)"


def run_now(ids: Iterable[int]) -> int:
    """Make waiting tasks ready, whatever their time was; return how many."""
    db = engine()
    with db.joined() as cursor:
        waiting = _locked(db, cursor, ids)
        if waiting:
            db.execute(cursor, RUN_NOW.format(by_id=db.by_id, now=db.now, ids=id_list(waiting)))
            waking.ready(db.connection, "")
    return len(waiting)


def change_priority(ids: Iterable[int], delta: int) -> int:
    """Raise or lower the priority of waiting tasks, within 32 bits; return how many."""
    db = engine()
    with db.joined() as cursor:
        waiting = _locked(db, cursor, ids)
        if not waiting:
            return 0
        sql = CHANGE_PRIORITY.format(by_id=db.by_id, ids=id_list(waiting))
        bounds = {"lowest": -(2**31) - delta, "highest": 2**31 - 1 - delta}
        changed: int = db.execute(cursor, sql, delta=delta, **bounds).rowcount
    return changed


def retry(completed_ids: Iterable[int]) -> int:
    """Take tasks back from the history: the same ids, ready now, their attempts counted anew. Return how many.

    One that repeats goes on repeating, unless its next repetition is there already: it would repeat twice for ever.
    """
    db = engine()
    using = db.connection.alias
    now = database_now()
    with db.joined() as cursor:
        rows = CompletedTask.objects.using(using).select_for_update().filter(id__in=list(completed_ids)).order_by("id")
        found = list(rows.values_list("id", "backend", "task_hash", "repeat"))
        repeating = _repeating(using, {task_hash for _, _, task_hash, repeat in found if repeat > 0})
        for task_id, backend, task_hash, repeat in found:
            again = 0 if task_hash in repeating else repeat
            insert_again(db, cursor, task_id, sign_for(backend), now, repeat=again)
            if again:
                repeating.add(task_hash)
        CompletedTask.objects.using(using).filter(id__in=[row[0] for row in found]).delete()
        if found:
            waking.ready(db.connection, "")
    return len(found)


def _repeating(using: str, hashes: set[str]) -> set[str]:
    """Return those of the hashes that a live task has which repeats."""
    live = Task.objects.using(using).filter(task_hash__in=hashes, repeat__gt=0)
    return set(live.values_list("task_hash", flat=True)) if hashes else set()


def delete_waiting(ids: Iterable[int]) -> int:
    """Delete waiting tasks, and the record of their attempts; return how many. Running ones are left alone."""
    db = engine()
    with db.joined() as cursor:
        waiting = _locked(db, cursor, ids)
        if waiting:
            db.execute(cursor, DELETE.format(delete_task=db.delete_task, ids=id_list(waiting)))
            gone = [task_id for (task_id,) in waiting]
            TaskAttempt.objects.using(db.connection.alias).filter(task_id__in=gone).delete()
    return len(waiting)


def delete_completed(ids: Iterable[int]) -> int:
    """Delete tasks from the history, and the record of their attempts; return how many."""
    db = engine()
    using = db.connection.alias
    with db.joined():
        found = CompletedTask.objects.using(using).select_for_update().filter(id__in=list(ids)).order_by("id")
        gone = list(found.values_list("id", flat=True))
        TaskAttempt.objects.using(using).filter(task_id__in=gone).delete()
        CompletedTask.objects.using(using).filter(id__in=gone).delete()
    return len(gone)


def _locked(db: Engine, cursor: Any, ids: Iterable[int]) -> list[tuple[int]]:
    """Lock the waiting ones of these tasks, in the order of their ids: two people may choose the same ones."""
    asked = sorted((int(task_id),) for task_id in ids)
    if not asked:
        return []
    locked: list[tuple[int]] = db.execute(cursor, LOCK.format(by_id=db.by_id, ids=id_list(asked)) + db.lock).fetchall()
    return list(locked)
