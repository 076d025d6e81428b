"""The next task of a repeating one: inserted with the ending of the last, in phase with the first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from bgtasks import waking
from bgtasks.models.tasks import sign_for
from bgtasks.queue.copies import insert_next
from bgtasks.queue.engine import Engine

FIND = """
SELECT id, {repeat}, due_at, finished_at, repeat_until, backend FROM bgtasks_completedtask WHERE id IN {ids} ORDER BY id
"""


def repeat(db: Engine, cursor: Any, ids: Sequence[int]) -> dict[int, int]:
    """Insert the next task of each of these, just moved to the history; return id → id of its repetition."""
    wanted, parameters = db.listed("id", sorted(ids))
    quoted = db.connection.ops.quote_name("repeat")
    found = db.execute(cursor, FIND.format(ids=wanted, repeat=quoted), **parameters).fetchall()
    repeated = {}
    for task_id, period, due_at, finished_at, until, backend in found:
        now = db.to_python(finished_at)
        run_at = next_slot(db.to_python(due_at), period, now)
        if until is None or run_at <= db.to_python(until):
            repeated[task_id] = insert_next(db, cursor, task_id, sign_for(backend), run_at, is_due=run_at <= now)
            wake_for(db, (run_at - now).total_seconds())
    return repeated


def wake_for(db: Engine, seconds: float, queue: str = "") -> None:
    """Wake whoever runs a task that is due in so many seconds, or makes it ready in time, after the commit."""
    if seconds <= 0:
        waking.ready(db.connection, queue)
    else:
        waking.due_in(db.connection, seconds)


def next_slot(slot: datetime, period: int, now: datetime) -> datetime:
    """Return the first slot after this one that is not in the past. Missed ones are skipped, the phase is kept."""
    missed = ceil((now - slot).total_seconds() / period)
    return slot + timedelta(seconds=period * max(1, missed))
