"""Requests written anew from the history: the next task of a repeating one, or a completed one once more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bgtasks.queue.engine import Engine
from bgtasks.queue.request import REQUEST

COPY = """
INSERT INTO bgtasks_task ({into}, attempts, crashes, last_error, created_at, run_at, status)
SELECT {values}, 0, 0, {error}, {now}, %(run_at)s, %(status)s FROM bgtasks_completedtask WHERE id = %(of)s
"""
ANEW = {"headers": "''", "legacy_id": "NULL", "unique_key": "NULL", "limit_key": "NULL", "priority_sign": "%(sign)s"}
"""What a repetition does not take over from the task before."""
ONCE_MORE = {
    "unique_key": "NULL",
    "limit_key": "NULL",
    "priority_sign": "%(sign)s",
    "repeat": "%(repeat)s",
    # Of what came out of the old history: old tasks were numbered on their own.
    "legacy_id": "CASE WHEN created_at IS NULL THEN NULL ELSE legacy_id END",
}


def insert_next(db: Engine, cursor: Any, of: int, sign: int, run_at: datetime, *, is_due: bool) -> int:
    """Insert the task that follows the completed one `of`; return its id."""
    sql = _sql(db, ANEW, REQUEST, "''")
    returning = db.connection.features.can_return_columns_from_insert
    parameters = {"of": of, "sign": sign, "run_at": db.to_database(run_at), "status": int(is_due)}
    db.execute(cursor, sql + " RETURNING id" if returning else sql, **parameters)
    inserted: int = cursor.fetchone()[0] if returning else cursor.lastrowid
    return inserted


def insert_again(db: Engine, cursor: Any, of: int, sign: int, now: datetime, *, repeat: int) -> None:
    """Insert the completed task `of` as a live one, ready, under the same id, its attempts forgotten.

    `repeat`: its seconds between repetitions from now on.
    """
    sql = _sql(db, ONCE_MORE, ("id", *REQUEST), "last_error")
    db.execute(cursor, sql, of=of, sign=sign, run_at=db.to_database(now), status=1, repeat=repeat)


def _sql(db: Engine, changed: dict[str, str], columns: tuple[str, ...], error: str) -> str:
    quoted = {column: db.connection.ops.quote_name(column) for column in columns}
    values = ", ".join(changed.get(column, quoted[column]) for column in columns)
    return COPY.format(into=", ".join(quoted.values()), values=values, now=db.now, error=error)
