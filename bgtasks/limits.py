"""When a worker has done enough: age, tasks, memory, duration. Looked at between tasks, never during one."""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

JITTER = 0.1
"""The random part of an age or count limit: workers that were born together do not retire together."""
MIN_LIFETIME = 10.0
"""Seconds that age and memory limits wait, so that a limit set too low does not spawn hundreds of workers."""


@dataclass
class Limits:
    """Counts what one worker has done, from the moment this is made: make it in the worker's own process."""

    max_age: float | None = None  # seconds
    max_tasks: int | None = None
    max_memory_bytes: int | None = None
    duration: float | None = None
    """Seconds, exact and without a minimum: somebody asked for it on a command line."""
    tasks: int = field(default=0, init=False)
    born_at: float = field(init=False)
    memory_looked_at: float = field(default=-1.0, init=False)

    def __post_init__(self) -> None:
        self.born_at = time.monotonic()

    def drawn(self, *, slot: int = 0, of: int = 1) -> Limits:
        """Return these limits spread over the slots, with jitter: once, when a worker boots. Small counts stay."""
        # Drawing anew at each look would collapse the jitter: the smallest draw would always win.
        factor = 1 + slot / (8 * max(1, of)) + random.uniform(0, JITTER)  # noqa: S311 - no secret
        return replace(
            self,
            max_age=None if self.max_age is None else self.max_age * factor,
            max_tasks=None if self.max_tasks is None else int(self.max_tasks * factor),
        )

    def reached(self) -> str:
        """Return the limit that is reached: `duration`, `max_tasks`, `max_age`, `max_memory`; or an empty string."""
        age = time.monotonic() - self.born_at
        if self.duration is not None and age >= self.duration:
            return "duration"
        if self.max_tasks is not None and self.tasks >= self.max_tasks:
            return "max_tasks"
        if age < MIN_LIFETIME:
            return ""
        if self.max_age is not None and age >= self.max_age:
            return "max_age"
        return "max_memory" if self.is_too_large() else ""

    def are_held(self) -> bool:
        """Say whether no task is to be started for now; whoever keeps the worker alive may want that."""
        return False

    def tasks_left(self) -> int:
        """Return how many more tasks may be run."""
        return sys.maxsize if self.max_tasks is None else max(0, self.max_tasks - self.tasks)

    def is_too_large(self) -> bool:
        """Compare the memory that only this process uses; its resident size, with shared pages, is a cheap bound."""
        if self.max_memory_bytes is None or resident_bytes() <= self.max_memory_bytes:
            return False
        now = time.monotonic()
        if self.memory_looked_at >= 0 and now - self.memory_looked_at < 1:
            return False  # the exact look costs up to 8 ms in a large process
        self.memory_looked_at = now
        return private_bytes() > self.max_memory_bytes

    def remaining(self) -> float:
        """Return the seconds until time alone reaches a limit."""
        ends = [float("inf")]
        if self.duration is not None:
            ends.append(self.duration)
        if self.max_age is not None:
            ends.append(max(MIN_LIFETIME, self.max_age))
        return max(0.0, self.born_at + min(ends) - time.monotonic())


def resident_bytes() -> int:
    """Return the resident size of this process; 7 µs."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return int(psutil.Process().memory_info().rss)


def private_bytes() -> int:
    """Return what would be free if this process ended now: never a peak, and no page shared with a zygote."""
    try:
        return int(psutil.Process().memory_full_info().uss)
    except (psutil.Error, AttributeError):
        return resident_bytes()
