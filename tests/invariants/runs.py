"""What tasks wrote into the ledger, read as runs: who ran which request when, under which claim, and how it ended."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from django.dispatch import receiver

from bgtasks.signals import task_started
from bgtasksd.children.process import start_ticks
from tests.project.tasks import note

P = ParamSpec("P")
R = TypeVar("R")
Process = tuple[int, int]
"""A pid, and when that process started, in ticks: a pid alone may be used again."""

_present: dict[str, Any] = {}


@receiver(task_started, dispatch_uid="tests.invariants")
def remember(task: Any, **facts: Any) -> None:
    """Know which claim the function about to be called runs under."""
    _present.update(task=task.pk, claim=task.claim, attempt=task.attempts)


@functools.cache
def _birth(pid: int) -> int:
    return start_ticks(pid) or 0


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Have a task function, whose first argument is the number of its request, write down its start and its end."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        facts = {"number": args[0], "birth": _birth(os.getpid()), **_present}
        note("began", **facts)
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            note("raised", error=type(error).__name__, **facts)
            raise
        note("ended", **facts)
        return value

    return run


@dataclass
class Run:
    """One call of a task function."""

    number: int
    process: Process
    task: int
    claim: int
    attempt: int
    began_at: float
    over_at: float | None = None
    error: str | None = None
    """The class of what it raised."""

    @property
    def is_success(self) -> bool:
        return self.over_at is not None and self.error is None


class Ledger:
    """All runs, by the number of the request, in the order of their starts."""

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self.runs: dict[int, list[Run]] = {}
        self.seen_at: dict[Process, float] = {}
        """When each process wrote its last line."""
        self.strange: list[str] = []
        open_runs: dict[Process, Run] = {}
        for entry in sorted(entries, key=lambda entry: entry["at"]):
            process = (entry["pid"], entry["birth"])
            self.seen_at[process] = entry["at"]
            if entry["event"] == "began":
                run = Run(*(entry["number"], process, entry["task"], entry["claim"], entry["attempt"], entry["at"]))
                self.runs.setdefault(run.number, []).append(run)
                open_runs[process] = run
            elif (begun := open_runs.pop(process, None)) is None or begun.number != entry["number"]:
                self.strange.append(f"pid {process[0]}: an end of {entry['number']}, which it did not begin")
            else:
                begun.over_at, begun.error = entry["at"], entry.get("error")

    def was_over(self, run: Run, moment: float) -> bool:
        """Say whether a run had ended by then: by its last word, or because its process was never heard of again."""
        return run.over_at <= moment if run.over_at is not None else self.seen_at[run.process] <= moment


def lasting(run: Run) -> float:
    """Return how long a run took, so far as is known."""
    return (time.monotonic() if run.over_at is None else run.over_at) - run.began_at
