"""What any host does now and then: make due tasks ready, give queues their rows, prune the history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connections, transaction
from django.db.models import Exists, OuterRef

from bgtasks import conf
from bgtasks.models import CompletedTask, Queue, Status, Task, TaskAttempt, WorkerProcess
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.rows import id_list

DUE = "SELECT id FROM bgtasks_task WHERE status = 0 AND run_at <= {now} ORDER BY run_at LIMIT %(limit)s"
STAGE = "UPDATE bgtasks_task {by_id} SET status = 1 WHERE id IN ({ids})"
NEXT_DUE = "SELECT (SELECT min(run_at) FROM bgtasks_task WHERE status = 0), {now}"
# From name to name through the index, however many rows each has.
QUEUES_IN_USE = """
WITH RECURSIVE used (name) AS (
    SELECT min(queue) FROM bgtasks_task WHERE status = 1
    UNION ALL
    SELECT (SELECT min(queue) FROM bgtasks_task WHERE status = 1 AND queue > used.name) FROM used
    WHERE used.name IS NOT NULL)
SELECT name FROM used WHERE name IS NOT NULL
"""
BATCH = 1000
SILENT = timedelta(days=2)
"""After this a worker process that was not seen is forgotten; what it held has long been reclaimed."""


def stage(limit: int = 5000) -> int:
    """Make scheduled tasks that are due ready; return how many. Queues found without a row get one."""
    db = engine()
    with db.transaction() as cursor:
        rows = db.execute(cursor, DUE.format(now=db.now) + db.skip_locked, limit=limit).fetchall()
        if rows:
            db.execute(cursor, STAGE.format(by_id=db.by_id, ids=id_list(sorted(rows))))
    _give_rows_to_queues(db)
    return len(rows)


def _give_rows_to_queues(db: Engine) -> None:
    """A claim without a filter looks where a row is: a rollback, or SQL by hand, may have left a queue without."""
    with db.connection.cursor() as cursor:
        used = {name for (name,) in db.execute(cursor, QUEUES_IN_USE).fetchall()}
    queues = Queue.objects.using(db.connection.alias)
    missing = used - set(queues.filter(name__in=used).values_list("name", flat=True)) if used else set()
    if missing:
        queues.ensure(missing)


def next_due() -> float | None:
    """Return the seconds until the next scheduled task is due, by the database's clock; None: there is none."""
    db = engine()
    with db.connection.cursor() as cursor:
        due, now = db.execute(cursor, NEXT_DUE.format(now=db.now)).fetchone()
    return None if due is None else (db.to_python(due) - db.to_python(now)).total_seconds()


def database_now() -> datetime:
    """Return what time it is by the database's clock."""
    db = engine()
    with db.connection.cursor() as cursor:
        return db.to_python(db.execute(cursor, f"SELECT {db.now}").fetchone()[0])


def prune(batch: int = BATCH) -> int:
    """Delete one batch of each outcome from the history that is older than `BGTASKS["KEEP"]`; return how many."""
    now = database_now()
    pruned = 0
    for outcome, kept in conf.current().keep.items():
        if kept is not None:
            pruned += _prune(Status[outcome.upper()], now - timedelta(seconds=kept), batch)
    WorkerProcess.objects.using(alias()).filter(last_seen_at__lt=now - SILENT).delete()
    return pruned


def prune_orphans(after: int = 0, batch: int = BATCH) -> tuple[int, int]:
    """Delete old attempts of tasks that are no longer there: somebody has deleted these through the ORM or in SQL.

    Looks at one batch of ids beyond `after`; returns where to go on (0: from the start) and how many were deleted.
    """
    ages = [kept for kept in conf.current().keep.values() if kept is not None]
    if not ages:
        return 0, 0
    before = database_now() - timedelta(seconds=max(ages))
    attempts = TaskAttempt.objects.using(alias())
    seen = list(attempts.filter(id__gt=after).order_by("id").values_list("id", "finished_at")[:batch])
    old = [attempt_id for attempt_id, finished_at in seen if finished_at < before]
    # One statement: a task moves to the history, or back from there, in no time.
    there = [Exists(model.objects.filter(id=OuterRef("task_id"))) for model in (Task, CompletedTask)]
    orphans = list(attempts.filter(id__in=old).exclude(there[0] | there[1]).values_list("id", flat=True))
    attempts.filter(id__in=orphans).delete()
    goes_on = len(seen) == batch and seen[-1][0] in old[-1:]
    return (seen[-1][0] if goes_on else 0), len(orphans)


def _prune(outcome: Status, before: datetime, batch: int) -> int:
    with transaction.atomic(using=alias()):
        old: Any = CompletedTask.objects.using(alias()).filter(outcome=outcome, run_at__lt=before)
        if connections[alias()].features.has_select_for_update_skip_locked:
            old = old.select_for_update(skip_locked=True)
        ids = sorted(old.order_by("run_at").values_list("id", flat=True)[:batch])
        CompletedTask.objects.using(alias()).filter(id__in=ids).delete()
        TaskAttempt.objects.using(alias()).filter(task_id__in=ids).delete()
    return len(ids)
