"""What any host does now and then: make due tasks ready, know when the next are due, give queues their rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bgtasks import waking
from bgtasks.models import Queue
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import engine
from bgtasks.queue.rows import id_list

DUE = "SELECT id FROM bgtasks_task WHERE status = 0 AND run_at <= {now} ORDER BY run_at {first}"
STAGE = "UPDATE bgtasks_task {by_id} SET status = 1 WHERE id IN ({ids})"
NEXT_DUE = "SELECT (SELECT min(run_at) FROM bgtasks_task WHERE status = 0), {now}"
LOOK = NEXT_DUE + ", EXISTS (SELECT 1 FROM bgtasks_task WHERE status = 1)"
# From name to name through the index, however many rows each has; MySQL and MariaDB end it after a thousand.
QUEUES_IN_USE = """
WITH RECURSIVE used (name, number) AS (
    SELECT min(queue), 1 FROM bgtasks_task WHERE status = 1 AND queue > %(after)s
    UNION ALL
    SELECT (SELECT min(queue) FROM bgtasks_task WHERE status = 1 AND queue > used.name), number + 1 FROM used
    WHERE used.name IS NOT NULL AND number < 500)
SELECT name FROM used WHERE name IS NOT NULL ORDER BY number
"""


def stage(limit: int = 5000) -> int:
    """Make up to `limit` scheduled tasks that are due ready, the oldest first; return how many."""
    db = engine()
    with db.transaction() as cursor:
        rows = db.execute(cursor, DUE.format(now=db.now, first=db.first) + db.skip_locked, limit=limit).fetchall()
        if rows:
            db.execute(cursor, STAGE.format(by_id=db.by_id, ids=id_list(sorted(rows))))
            waking.ready(db.connection, "")
    return len(rows)


def give_rows_to_queues() -> bool:
    """Make the missing ones: a claim without a filter looks where a row is, and SQL by hand knows nothing of it.

    Returns whether there were any.
    """
    db = engine()
    with db.connection.cursor() as cursor:
        used = set(_queues_in_use(db, cursor))
    queues = Queue.objects.using(db.connection.alias)
    missing = used - set(queues.filter(name__in=used).values_list("name", flat=True)) if used else set()
    if missing:
        with db.turnstile():
            queues.ensure(missing)
    return bool(missing)


def _queues_in_use(db: Engine, cursor: Any) -> Iterator[str]:
    after = ""
    while found := db.execute(cursor, QUEUES_IN_USE, after=after).fetchall():
        yield from (name for (name,) in found)
        (after,) = found[-1]


def next_due() -> float | None:
    """Return the seconds until the next scheduled task is due, by the database's clock; None: there is none."""
    db = engine()
    with db.connection.cursor() as cursor:
        due, now = db.execute(cursor, NEXT_DUE.format(now=db.now)).fetchone()
    return None if due is None else (db.to_python(due) - db.to_python(now)).total_seconds()


def look() -> tuple[float | None, bool]:
    """Return what `next_due` does, and whether there is anything ready; one statement, cheap at any size."""
    db = engine()
    with db.connection.cursor() as cursor:
        due, now, is_ready = db.execute(cursor, LOOK.format(now=db.now)).fetchone()
    return (None if due is None else (db.to_python(due) - db.to_python(now)).total_seconds()), bool(is_ready)


def database_now() -> datetime:
    """Return what time it is by the database's clock."""
    db = engine()
    with db.connection.cursor() as cursor:
        return db.to_python(db.execute(cursor, f"SELECT {db.now}").fetchone()[0])
