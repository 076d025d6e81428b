"""Taking over the rows: looked at first as a whole, then moved batch by batch, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from django.db import models
from django.utils import timezone

from bgtasks import conf, registry
from bgtasks.compat.legacy.report import Report
from bgtasks.compat.legacy.rows import Locks, Unreadable, history_of, taken_over
from bgtasks.compat.legacy.tables import COMPLETED, TASKS, OldTable
from bgtasks.models import Task
from bgtasks.models.request import Request
from bgtasks.queue import claims

Sort: TypeAlias = Callable[[Sequence[Any], Report], tuple[list[Request], list[int]]]


class StillLocked(Exception):
    """Old workers may still run tasks; `ids` are those of the rows."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(f"{len(ids)} tasks are locked by an old worker that may still run them")
        self.ids = ids


@dataclass
class Import:
    """One import, as it was asked for."""

    alias: str
    """The database of the old tables."""
    batch: int = 1000
    locked: str | None = None
    """What becomes of rows that may still be running: `requeue`, `skip`, or None: nothing is imported."""
    with_history: bool = False
    since: datetime | None = None
    """Take only what ended later out of the old history."""
    dedupe_repeating: bool = False
    keep_source: bool = False
    now: datetime = field(default_factory=timezone.now)

    def __post_init__(self) -> None:
        """Look at the old tables. Raises NoTable."""
        self.locks = Locks(self.now, conf.current().max_run_time, are_stale=self.locked == "requeue")
        self.tasks = OldTable(self.alias, TASKS)
        self.history = OldTable(self.alias, COMPLETED) if self.with_history else None
        self.ended = models.Q() if self.since is None else models.Q(run_at__gte=self.since)
        self.earliest: dict[str, tuple[datetime, int]] = {}
        """Hash of a repeating task → when the earliest of its rows is due, and the old id of that row."""
        self.is_first = {is_history: not claims.has_taken_over(is_history=is_history) for is_history in (False, True)}
        """Whether nothing was taken over before: then nothing is looked up for each batch."""

    def look(self) -> Report:
        """Return what would be done. Raises StillLocked."""
        self._prepare()
        report = Report()
        for batch in self.tasks.batches(self.batch):
            self._sort(batch, report)
        for batch in self.history.batches(self.batch, self.ended) if self.history else ():
            self._sort_history(batch, report)
        return report

    def run(self) -> Report:
        """Take everything over; what an interruption has left, the next run takes over. Raises StillLocked."""
        self._prepare()
        report = Report()
        self._move(self.tasks, self._sort, report)
        if self.history:
            self._move(self.history, self._sort_history, report, self.ended)
        return report

    def _prepare(self) -> None:
        """Refuse while old workers may be at work, and find the earliest row of each repeating task."""
        running = []
        for batch in self.tasks.batches(self.batch):
            for old in batch:
                if self.locks.may_be_running(old):
                    running.append(old.id)
                elif getattr(old, "repeat", 0) and (made := _made(old, self.locks)) is not None:
                    due = (made.run_at, old.id)
                    self.earliest[made.task_hash] = min(due, self.earliest.get(made.task_hash, due))
        if running and self.locked is None:
            raise StillLocked(running)

    def _move(self, table: OldTable, sort: Sort, report: Report, chosen: models.Q | None = None) -> None:
        last, is_over = None, False
        while not is_over:
            # In two databases ours commits first: should the second commit fail, the next run knows what it has.
            with table.transaction():
                batch = list(table.after(last, self.batch, chosen).select_for_update())
                made, gone = sort(batch, report)
                claims.take_over(made)
                if not self.keep_source:
                    table.remove(gone)
            last, is_over = (batch[-1].id, False) if batch else (last, True)

    def _sort(self, batch: Sequence[Any], report: Report) -> tuple[list[Request], list[int]]:
        """Return what becomes of these rows, and the ids of those that can go."""
        made, gone = [], []
        known = self._known(batch, is_history=False)
        for old in batch:
            if self.locks.may_be_running(old):
                report.counts["skipped"] += 1
                continue
            row = _made(old, self.locks, report)
            if row is None:
                continue
            gone.append(old.id)
            if old.id in known:
                report.counts["known"] += 1
            elif not self._is_superfluous(row, old, report):
                made.append(row)
                self._count(row, old, report)
        return made, gone

    def _sort_history(self, batch: Sequence[Any], report: Report) -> tuple[list[Request], list[int]]:
        made, gone = [], []
        known = self._known(batch, is_history=True)
        for old in batch:
            try:
                row = history_of(old)
            except Unreadable as error:
                report.left.append((old.id, f"{COMPLETED}: {error}"))
                continue
            gone.append(old.id)
            report.counts["known" if old.id in known else "completed"] += 1
            if old.id not in known:
                made.append(row)
        return made, gone

    def _known(self, batch: Sequence[Any], *, is_history: bool) -> set[int]:
        """Return the old ids of these rows that an import before this one has taken over and left there."""
        if self.is_first[is_history]:
            return set()
        known = claims.taken_over([old.id for old in batch], is_history=is_history)
        return {old.id for old in batch if (old.id, old.task_name) in known}

    def _is_superfluous(self, row: Request, old: Any, report: Report) -> bool:
        """Tell whether a repeating task has an earlier row than this."""
        if not isinstance(row, Task) or not row.repeat or self.earliest.get(row.task_hash, (0, old.id))[1] == old.id:
            return False
        report.counts["duplicates"] += 1
        return self.dedupe_repeating

    def _count(self, row: Request, old: Any, report: Report) -> None:
        if registry.get(row.task_name) is None and isinstance(row, Task):
            report.unknown_names[row.task_name] += 1
        report.counts["charged"] += self.locks.is_locked(old)
        report.counts["waiting" if isinstance(row, Task) else "failed"] += 1
        if isinstance(row, Task):
            report.counts["due"] += row.run_at <= self.now
            report.counts["repeating"] += row.repeat > 0


def _made(old: Any, locks: Locks, report: Report | None = None) -> Request | None:
    """Return what becomes of an old row; None if it cannot be read, and the report says why."""
    try:
        return taken_over(old, locks)
    except Unreadable as error:
        if report is not None:
            report.left.append((old.id, str(error)))
        return None
