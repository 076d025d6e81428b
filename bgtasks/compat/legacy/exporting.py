"""The way back: what waits goes into the old table, in the form in which the old package left it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bgtasks.compat.legacy.tables import LATER, TASKS, NoTable, OldTable
from bgtasks.models import Task
from bgtasks.models.request import DEFAULT_QUEUE, WAITING
from bgtasks.queue import claims

LARGEST_ID = 2**31 - 1
"""Of a creator: the old column is a positive integer."""


@dataclass
class Export:
    """One export, as it was asked for."""

    alias: str
    """The database of the old table."""
    batch: int = 1000
    left: list[tuple[int, str]] = field(default_factory=list)
    """(id, why) of tasks that stay."""

    def __post_init__(self) -> None:
        """Look at the old table. Raises NoTable."""
        self.table = OldTable(self.alias, TASKS)
        missing = sorted(set(LATER) - self.table.columns)
        if missing:
            raise NoTable(f"the table {TASKS} is of a version that had no {missing[0]}: migrate the old package first")

    def look(self) -> int:
        """Return how many tasks would go."""
        count, last = 0, 0
        while batch := list(self._after(last)):
            count += len(self._going(batch))
            last = batch[-1].pk
        return count

    def run(self) -> int:
        """Move what waits; return how much."""
        count, last = 0, 0
        while last >= 0:
            # In two databases the old one commits last: should that fail, nothing is lost that cannot be seen here.
            with self.table.transaction(), claims.whole():
                batch = list(self._after(last).select_for_update())
                going = self._going(batch)
                self.table.add([self._old(task) for task in going])
                claims.delete_waiting([task.pk for task in going])
            count += len(going)
            last = batch[-1].pk if batch else -1
        return count

    def _after(self, last: int) -> Any:
        rows = Task.objects.using(claims.alias()).filter(status__in=WAITING, pk__gt=last)
        return rows.order_by("pk")[: self.batch]

    def _going(self, batch: Sequence[Task]) -> list[Task]:
        going = []
        for task in batch:
            reason = _why_it_stays(task)
            if reason:
                self.left.append((task.pk, reason))
            else:
                going.append(task)
        return going

    def _old(self, task: Task) -> Any:
        columns = {name: getattr(task, name) for name in self.table.columns - {"id"}}
        columns["queue"] = None if task.queue == DEFAULT_QUEUE else task.queue
        return self.table.model(**{**columns, "locked_by": None, "locked_at": None, "failed_at": None})


def _why_it_stays(task: Task) -> str:
    creator = task.creator_object_id
    if task.backend:
        return "it belongs to django.tasks, which the old package does not know"
    if creator and not (creator.isdecimal() and int(creator) <= LARGEST_ID):
        return f"its creator's key {creator!r} is no integer, which the old table needs"
    return ""
