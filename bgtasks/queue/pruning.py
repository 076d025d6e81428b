"""Deleting old history in small batches, each a transaction of its own: nobody waits long, and it may end anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db.models import Exists, OuterRef

from bgtasks import conf
from bgtasks.models import CompletedTask, Status, Task, TaskAttempt, WorkerProcess
from bgtasks.queue.engine import Engine
from bgtasks.queue.engines import alias, engine
from bgtasks.queue.upkeep import database_now

OLD = """
SELECT id, finished_at FROM bgtasks_completedtask
WHERE outcome = {outcome} AND finished_at < %(before)s {beyond} ORDER BY finished_at LIMIT {batch}
"""
BATCH = 1000
SILENT = timedelta(days=2)
"""After this a worker process that was not seen is forgotten; what it held has long been reclaimed."""


@dataclass
class Pruning:
    """One go through the old history: of each outcome the oldest first."""

    before: Mapping[Status, datetime]
    """Outcome → what ended earlier is old."""
    batch: int = BATCH
    pruned: dict[Status, int] = field(default_factory=dict)
    reached: dict[Status, Any] = field(default_factory=dict)
    """Where the last batch ended. What was deleted up to there stays in the index while an old snapshot is open, and
    each batch would walk through all of it again."""

    def step(self) -> int:
        """Delete one batch of each outcome and return how many; 0 when there is nothing left that is old."""
        deleted = 0
        for outcome in self.before:
            count = self._delete(outcome)
            self.pruned[outcome] = self.pruned.get(outcome, 0) + count
            deleted += count
        return deleted

    def count(self, outcome: Status, cap: int) -> int:
        """Return how many there are to delete, at most `cap`."""
        old = CompletedTask.objects.using(alias()).filter(outcome=outcome, run_at__lt=self.before[outcome])
        return old.order_by().values("pk")[:cap].count()

    def _delete(self, outcome: Status) -> int:
        db = engine()
        reached = self.reached.get(outcome)
        if reached is None and not self._is_there(db, outcome):
            return 0
        beyond = "" if reached is None else "AND finished_at >= %(reached)s"
        sql = OLD.format(outcome=int(outcome), beyond=beyond, batch=self.batch)
        with db.transaction() as cursor:
            before = db.to_database(self.before[outcome])
            old = db.execute(cursor, sql + db.skip_locked, before=before, reached=reached).fetchall()
            ids = sorted(task_id for task_id, _ in old)
            CompletedTask.objects.using(db.connection.alias).filter(id__in=ids).delete()
            TaskAttempt.objects.using(db.connection.alias).filter(task_id__in=ids).delete()
        if old:
            self.reached[outcome] = old[-1][1]
        return len(old)

    def _is_there(self, db: Engine, outcome: Status) -> bool:
        """Look without a transaction, for there is seldom anything: SQLite would let nobody write meanwhile."""
        sql = OLD.format(outcome=int(outcome), beyond="", batch=1)
        with db.connection.cursor() as cursor:
            return bool(db.execute(cursor, sql, before=db.to_database(self.before[outcome])).fetchall())


def pruning(kept: Mapping[str, float | None] | None = None, batch: int = BATCH) -> Pruning:
    """Return the go that deletes what is older: outcome → seconds; None, and outcomes not named, are kept for ever.

    Without an argument `BGTASKS["KEEP"]` decides.
    """
    kept = conf.current().keep if kept is None else kept
    now = database_now()
    limits = {outcome: seconds for outcome, seconds in kept.items() if seconds is not None}
    return Pruning({Status[name.upper()]: now - timedelta(seconds=age) for name, age in limits.items()}, batch)


def prune(batch: int = BATCH, seconds: float = 0.0) -> int:
    """Delete one batch of each outcome that is older than `BGTASKS["KEEP"]`, and more for so long; return how many."""
    going, until, pruned = pruning(batch=batch), monotonic() + seconds, 0
    while (deleted := going.step()) and monotonic() < until:
        pruned += deleted
    return pruned + deleted


def forget_silent() -> None:
    """Take away the rows of worker processes that nobody has seen for long."""
    silent = WorkerProcess.objects.using(alias()).filter(last_seen_at__lt=database_now() - SILENT)
    if silent.exists():
        with engine().turnstile():
            silent.delete()


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
    if orphans:
        with engine().turnstile():
            attempts.filter(id__in=orphans).delete()
    goes_on = len(seen) == batch and seen[-1][0] in old[-1:]
    return (seen[-1][0] if goes_on else 0), len(orphans)
