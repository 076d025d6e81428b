"""Cancelling: a waiting task ends at once; a running one gets a request, which whoever runs it reads and acts on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import transaction

from bgtasks import signals
from bgtasks.models import CompletedTask, Status, Task
from bgtasks.queue.engine import Ended, Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import id_list, new_token
from bgtasks.queue.settled import end

LOCK = "SELECT id, status FROM bgtasks_task {by_id} WHERE id IN ({ids}) AND status IN (0, 1, 2, 3) ORDER BY id"
# A waiting task is taken like a claimed one, and ends like one: no worker can have it at the same time.
TAKE = "UPDATE bgtasks_task {by_id} SET status = 2, claim = %(token)s WHERE id IN ({ids}) AND status IN (0, 1, 3)"
REQUEST = """
UPDATE bgtasks_task {by_id} SET cancel_requested_at = COALESCE(cancel_requested_at, {now})
WHERE id IN ({ids}) AND status = 2
"""
REQUESTED = """
SELECT id, claim, locked_by FROM bgtasks_task
WHERE status = 2 AND locked_by IN {workers} AND cancel_requested_at IS NOT NULL
"""
AT_ONCE = 500
"""Tasks in one statement: drivers bound the number of its parameters."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of tasks that were to be cancelled, by their ids."""

    ended: list[int] = field(default_factory=list)
    """They waited: it is done."""
    asked: list[int] = field(default_factory=list)
    """They run: whoever runs them ends them."""


def cancel(task_id: int) -> bool:
    """End a waiting task as cancelled; ask for the end of a running one. False: there is no such live task."""
    cancelled = cancel_many([task_id])
    return bool(cancelled.ended or cancelled.asked)


def cancel_many(ids: Iterable[int]) -> Cancelled:
    """Do that for each of these tasks, all in one transaction; those that are over are left alone."""
    db = engine()
    wanted = sorted({(int(task_id),) for task_id in ids})
    cancelled = Cancelled()
    if wanted:
        with db.joined() as cursor:
            for at in range(0, len(wanted), AT_ONCE):
                _cancel(db, cursor, wanted[at : at + AT_ONCE], cancelled)
    return cancelled


def _cancel(db: Engine, cursor: Any, wanted: list[tuple[int]], cancelled: Cancelled) -> None:
    rows = db.execute(cursor, LOCK.format(by_id=db.by_id, ids=id_list(wanted)) + db.lock).fetchall()
    waiting = [(task_id,) for task_id, status in rows if status != Status.RUNNING]
    running = [(task_id,) for task_id, status in rows if status == Status.RUNNING]
    if waiting:
        token = new_token()
        db.execute(cursor, TAKE.format(by_id=db.by_id, ids=id_list(waiting)), token=token)
        over = [Ended(task_id, token, Status.CANCELLED) for (task_id,) in waiting]
        ended = sorted(task_id for task_id, _ in end(db, cursor, over))
        cancelled.ended.extend(ended)
        if signals.is_heard(signals.task_cancelled, Task):
            transaction.on_commit(partial(_tell, ended), using=db.connection.alias)
    if running:
        db.execute(cursor, REQUEST.format(by_id=db.by_id, now=db.now, ids=id_list(running)))
        cancelled.asked.extend(task_id for (task_id,) in running)


def cancel_requests(workers: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return (task id, token, worker) of what these workers run, or have claimed, and somebody wants to end."""
    if not workers:
        return []
    db = engine()
    listed, parameters = db.listed("worker", sorted(workers))
    with db.connection.cursor() as cursor:
        return list(db.execute(cursor, REQUESTED.format(workers=listed), **parameters).fetchall())


def _tell(ids: Sequence[int]) -> None:
    for completed in CompletedTask.objects.using(engine().connection.alias).filter(id__in=ids).order_by("id"):
        signals.announce(signals.task_cancelled, Task, task_id=completed.pk, completed_task=completed)
