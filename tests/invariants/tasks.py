"""I6: no task lost, none in two living processes at a time, none run again after its end was recorded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from tests.invariants.runs import Ledger, Process, Run

DATABASE_ERRORS = ("django.db.utils.OperationalError", "django.db.utils.InterfaceError")


@dataclass(frozen=True)
class Row:
    """What the database says of one request."""

    status: Status
    attempts: int
    crashes: int
    not_committed: frozenset[int] = frozenset()
    """Attempts of an atomic task that ended well and then lost the database: nothing of them is there."""


def rows() -> dict[int, Row]:
    """Return every task and completed task by its id; one that is both is a failure of its own."""
    lost = attempts_without_database()
    live = {row.pk: Row(Status(row.status), row.attempts, row.crashes, lost[row.pk]) for row in Task.objects.iterator()}
    over = {
        row.pk: Row(Status(row.outcome), row.attempts, row.crashes, lost[row.pk])
        for row in CompletedTask.objects.iterator()
    }
    assert not live.keys() & over.keys(), f"both live and over: {live.keys() & over.keys()}"
    return live | over


def attempts_without_database() -> Mapping[int, frozenset[int]]:
    """Return the numbers of the attempts for which an error of the database was recorded, by the ids of the tasks."""
    found: defaultdict[int, frozenset[int]] = defaultdict(frozenset)
    for each in TaskAttempt.objects.filter(exception__in=DATABASE_ERRORS).iterator():
        found[each.task_id] |= {each.attempt}
    return found


def broken_in_tasks(
    ledger: Ledger, stored: Mapping[int, int], excused: Collection[Process] = (), *, max_crashes: int = 3
) -> list[str]:
    """Return what is broken of I6 in the database at hand. `stored`: number of each request → its id.

    `excused`: processes that were orphans, whose finished tasks nobody could write down.
    """
    database = rows()
    crashes = Counter(TaskAttempt.objects.filter(crashed=True).values_list("task_id", flat=True))
    found = broken_in_runs(ledger, stored, database, excused, max_crashes=max_crashes)
    told = [(pk, row.crashes, crashes[pk]) for pk, row in database.items() if row.crashes < crashes[pk]]
    return found + [f"task {pk}: {counted} crashes counted, {recorded} recorded" for pk, counted, recorded in told]


def broken_in_runs(
    ledger: Ledger,
    stored: Mapping[int, int],
    database: Mapping[int, Row],
    excused: Collection[Process] = (),
    *,
    max_crashes: int = 3,
) -> list[str]:
    """Return where what tasks wrote down and these rows contradict each other, or a promise."""
    found = [*ledger.strange]
    for number, task_id in stored.items():
        row, runs = database.get(task_id), ledger.runs.get(number, [])
        told = list(_broken_in_one(ledger, row, runs, max_crashes))
        found += [f"request {number}, task {task_id}: {text}; {row}; {[*map(_short, runs)]}" for text in told]
    unknown = [number for number in ledger.runs if number not in stored]
    found += [f"requests {unknown[:10]} ran and were never stored"] if unknown else []
    return found + list(_ends_lost(ledger, excused))


def _broken_in_one(ledger: Ledger, row: Row | None, runs: list[Run], max_crashes: int) -> Iterator[str]:
    if row is None:
        yield "lost"
        return
    yield from _broken_in_order(ledger, runs)
    successes = [run for run in runs if run.is_success and run.attempt not in row.not_committed]
    if row.status == Status.SUCCESSFUL:
        yield from _broken_in_success(row, runs, successes)
    elif row.status == Status.FAILED and successes and row.crashes < max_crashes:
        yield "failed although it succeeded"
    if len(successes) > 1 and not row.crashes:
        yield f"succeeded {len(successes)} times, and nobody died"


def _broken_in_order(ledger: Ledger, runs: list[Run]) -> Iterator[str]:
    for earlier, later in pairwise(runs):
        if not ledger.was_over(earlier, later.began_at):
            yield f"in two processes at a time, {earlier.process[0]} and {later.process[0]}"
        if later.attempt < earlier.attempt:
            yield "an attempt counted backwards"
    if len({run.claim for run in runs}) < len(runs):
        yield "run twice under one claim"


def _broken_in_success(row: Row, runs: list[Run], successes: list[Run]) -> Iterator[str]:
    if not successes:
        yield "recorded as a success, and it never ended well"
    elif runs[-1] is not successes[-1]:
        yield "run again after its success"
    elif successes[-1].attempt != row.attempts:
        yield f"its success was attempt {successes[-1].attempt}"


def _ends_lost(ledger: Ledger, excused: Collection[Process]) -> Iterator[str]:
    """A worker that dies may take with it the end of the task at hand, and of no other."""
    repeated = [earlier for runs in ledger.runs.values() for earlier, _ in pairwise(runs) if earlier.is_success]
    for process, count in Counter(run.process for run in repeated).items():
        if count > 1 and process not in excused:
            numbers = [run.number for run in repeated if run.process == process]
            yield f"pid {process[0]} took the ends of {count} tasks with it: {numbers[:10]}"


def _short(run: Run) -> str:
    end = "no end" if run.over_at is None else f"{run.over_at:.2f}"
    return f"pid {run.process[0]} attempt {run.attempt} {run.began_at:.2f}–{end} {run.error or ''}".strip()
