"""Taking over the schedules of another package: looked at as a whole, then written in one transaction, all or none."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from django.utils import timezone

from bgtasks import registry
from bgtasks.arguments import encode_call, hash_of
from bgtasks.background_task import BackgroundTask
from bgtasks.calls import new_row
from bgtasks.compat.schedules.report import Report
from bgtasks.compat.schedules.schedule import NothingToTake, NotTaken, Schedule, Source
from bgtasks.due import stored_form
from bgtasks.exceptions import TaskArgumentError
from bgtasks.models import CompletedTask, Task
from bgtasks.queue import claims

BATCH = 1000
"""Rows in one statement."""
NAME_KEPT = 200
"""Characters of a schedule's name that its tasks are called by."""


def _now() -> datetime:
    """Return the time with its zone, whatever USE_TZ says."""
    now = timezone.now()
    return timezone.make_aware(now) if timezone.is_naive(now) else now


@dataclass
class Import:
    """One import, as it was asked for."""

    source: Source
    names: Mapping[str, str] = field(default_factory=dict)
    """Name of a function there → name of the task function here, where they differ."""
    disables_source: bool = False
    now: datetime = field(default_factory=_now)

    def look(self) -> Report:
        """Return what would be done."""
        report, _ = self._sort(chain.from_iterable(self.source.table.batches(BATCH)))
        return report

    def run(self) -> Report:
        """Take over everything that can be, or nothing if an error comes."""
        # Whoever imports at the same time waits for these rows, and then knows what was taken over.
        # In two databases ours commits first: should the second commit fail, the next run knows what it has.
        with self.source.table.transaction(), claims.whole():
            rows = list(self.source.table.rows.select_for_update())
            report, made = self._sort(rows)
            for at in range(0, len(made), BATCH):
                claims.take_over(made[at : at + BATCH])
            if self.disables_source:
                for at in range(0, len(report.firing), BATCH):
                    self.source.disable(report.firing[at : at + BATCH], self.now)
        return report

    def _sort(self, rows: Iterable[Any]) -> tuple[Report, list[Task]]:
        """Return what becomes of these rows, and the unsaved tasks."""
        report = Report(self.source.title, disables_source=self.disables_source)
        known = self._known()
        made = []
        for row in rows:
            if row.id in known:
                report.add_known(row.id, is_firing=self.source.is_firing(row))
            elif (task := self._taken(row, report)) is not None:
                made.append(task)
        report.uncalled = sorted(set(self.names) - report.called)
        return report, made

    def _taken(self, row: Any, report: Report) -> Task | None:
        """Return the unsaved task for a row, or None, and report which it is."""
        name = self.source.name_of(row)
        try:
            schedule = self.source.read(row, self.now)
            report.called.add(schedule.function)
            task = self._task(row.id, name, schedule)
        except NothingToTake as error:
            report.add_skipped(row.id, name, error)
        except NotTaken as error:
            report.add_left(row.id, name, error)
        except OverflowError:
            report.add_left(row.id, name, NotTaken("its times are beyond the calendar"))
        else:
            report.add_taken(row.id, name, schedule, task, self.now)
            return task
        return None

    def _known(self) -> set[int]:
        """Return the ids of the schedules that have a task here, live or over: its verbose name ends with the id."""
        found: set[int] = set()
        mark = re.compile(rf"\({self.source.mark} (\d+)\)$")
        for model in (Task, CompletedTask):
            marked = model._default_manager.using(claims.alias()).filter(verbose_name__contains=f"({self.source.mark} ")
            for verbose_name in marked.order_by().values_list("verbose_name", flat=True).distinct():
                found.update(int(match[1]) for match in mark.finditer(verbose_name or ""))
        return found

    def _task(self, row_id: int, name: str, schedule: Schedule) -> Task:
        """Return the unsaved task for a schedule. Raises NotTaken."""
        task = _function(self.names.get(schedule.function, schedule.function))
        _refuse_wrong_arguments(task, schedule)
        try:
            meant = task.using(
                queue=schedule.queue, priority=schedule.priority, repeat=schedule.period, repeat_until=schedule.until,
                verbose_name=f"{name[:NAME_KEPT]} ({self.source.mark} {row_id})".strip(),
            )  # fmt: skip
            params = encode_call(task.name, task.task_function, schedule.args, schedule.kwargs)
        except (TypeError, ValueError, TaskArgumentError) as error:
            raise NotTaken(str(error), "correct it there and import again") from None
        call = params, hash_of(task.name, params)
        return new_row(task.name, meant.options, stored_form(schedule.run_at), call)


def _function(name: str) -> BackgroundTask[..., Any]:
    """Return the task function with this name. Raises NotTaken."""
    found = registry.get(name)
    if found is None:
        raise NotTaken(f"no task function here is named {name}", _advice(name))
    return found


def _advice(name: str) -> str:
    if name in registry.all_names():
        return "@task functions of django.tasks do not repeat: decorate one with @background"
    near = _nearest(name, tuple(registry.names()))
    return f"decorate it with @background, or say which it is: --map {name}={near}"


@cache
def _nearest(name: str, names: tuple[str, ...]) -> str:
    """Return the name most like this one, for thousands of schedules of one function looked for once."""
    return (difflib.get_close_matches(name, names, 1) or ["NAME"])[0]


def _refuse_wrong_arguments(task: BackgroundTask[..., Any], schedule: Schedule) -> None:
    try:
        inspect.signature(task.task_function).bind(*schedule.args, **schedule.kwargs)
    except TypeError as error:
        raise NotTaken(
            f"its arguments do not fit {task.name}: {error}", "correct them there and import again"
        ) from None
