"""Taking one task in a process that is no worker: the next one, a certain one, or one that somebody else abandoned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import claim_of, new_token
from bgtasks.queue.types import Claim, Holder

WAITING = "status IN (0, 1, 3)"
# A worker has a row of its own, and only its death or its lease takes a task from it.
ABANDONED = """
status = 2 AND locked_at < {since}
    AND NOT EXISTS (SELECT 1 FROM bgtasks_workerprocess AS worker WHERE worker.name = bgtasks_task.locked_by)
"""
TAKE = """
UPDATE bgtasks_task {by_id} SET status = 2, claim = %(token)s, attempts = attempts + %(counted)s,
    locked_by = %(holder)s, locked_at = {now}, locked_until = {until},
    unique_key = CASE WHEN unique_key LIKE 'waiting:%%' THEN NULL ELSE unique_key END
WHERE id = %(id)s AND ({free})
"""
FIND_ABANDONED = "SELECT id FROM bgtasks_task WHERE {abandoned} {of_queue} ORDER BY id LIMIT 1"
COUNT = "UPDATE bgtasks_task SET attempts = attempts + 1 WHERE id = %(id)s"
DATE = "UPDATE bgtasks_task SET locked_at = %(locked_at)s WHERE id = %(id)s AND claim = %(token)s"
READ = "SELECT {columns} FROM bgtasks_task WHERE id = %(id)s AND status = 2"


def take_next(holder: Holder) -> Claim | None:
    """Claim the task that a worker would claim next; None: there is none."""
    db = engine()
    with db.transaction() as cursor:
        rows = db.claim(cursor, 1, holder, new_token())
        return claim_of(rows[0], db.row_time) if rows else None


def take(task_id: int, holder: Holder, *, is_counted: bool = True, abandoned_for: float | None = None) -> Claim | None:
    """Claim this very task if it waits; None: it is over, or somebody has it.

    `is_counted`: it is an attempt. `abandoned_for`: take it also from a holder that is no registered worker and
    claimed it more than so many seconds ago.
    """
    db = engine()
    free, parameters = WAITING, {}
    if abandoned_for is not None:
        free, parameters = f"{WAITING} OR {_abandoned(db)}", {"abandoned_for": -abandoned_for}
    sql = TAKE.format(by_id=db.by_id, now=db.now, until=db.after("lease"), free=free)
    values = {"id": task_id, "token": new_token(), "holder": holder.name, "lease": db.lasting(holder.lease)}
    with db.joined() as cursor:
        taken = db.execute(cursor, sql, counted=int(is_counted), **values, **parameters).rowcount
        return _read(db, cursor, task_id) if taken else None


def abandoned(seconds: float, queue: str | None = None) -> int | None:
    """Return the id of a task whose holder is no registered worker and claimed it so long ago; None: there is none."""
    db = engine()
    of_queue = "" if queue is None else "AND queue = %(queue)s"
    sql = FIND_ABANDONED.format(abandoned=_abandoned(db), of_queue=of_queue)
    with db.connection.cursor() as cursor:
        found = db.execute(cursor, sql, abandoned_for=-seconds, queue=queue).fetchone()
    return found[0] if found else None


def held(task_id: int) -> Claim | None:
    """Return the claim in force of a running task, whoever holds it; None: it is not running."""
    db = engine()
    with db.connection.cursor() as cursor:
        return _read(db, cursor, task_id)


def count_attempt(task_id: int) -> None:
    """Count one attempt of a task that was taken uncounted."""
    db = engine()
    with db.joined() as cursor:
        db.execute(cursor, COUNT, id=task_id)


def date(task_id: int, token: int, locked_at: datetime) -> None:
    """Say of a claim that it was made at another time. Its lease stays as it is."""
    db = engine()
    with db.joined() as cursor:
        db.execute(cursor, DATE, id=task_id, token=token, locked_at=db.to_database(locked_at))


def _abandoned(db: Engine) -> str:
    return ABANDONED.format(since=db.after("abandoned_for"))


def _read(db: Engine, cursor: Any, task_id: int) -> Claim | None:
    row = db.execute(cursor, READ.format(columns=db.live_columns), id=task_id).fetchone()
    return claim_of(row, db.row_time) if row else None
