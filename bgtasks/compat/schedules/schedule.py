"""What a schedule of another package asks for, whichever package it is; and why one is not taken over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.utils import timezone

from bgtasks.compat.foreign_tables import ForeignTable
from bgtasks.task_options import LONGEST_REPEAT


class NotTaken(Exception):
    """The schedule stays where it is; the message says why, `fix` what a person can do."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class NothingToTake(Exception):
    """The old package would not fire it any more either; the message says why."""


@dataclass
class Schedule:
    """One schedule that a task can express: a function, its arguments, and when it is due."""

    function: str
    """The name of the function there."""
    run_at: datetime
    """When it is due for the first time here; in the past if a slot was missed."""
    period: int = 0
    """Seconds; 0: once."""
    until: datetime | None = None
    """No run is due later."""
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    remarks: list[str] = field(default_factory=list)
    """What is different here, for a person to know."""


class Source(Protocol):
    """Another package's schedules: where they are, and how one is read and switched off."""

    title: str
    """What people call the package."""
    mark: str
    """What its schedules are known by here, with their ids."""
    table: ForeignTable

    def name_of(self, row: Any) -> str:
        """Return what people call this schedule."""

    def is_firing(self, row: Any) -> bool:
        """Say whether this schedule is switched on there."""

    def read(self, row: Any, now: datetime) -> Schedule:
        """Return what a row asks for. Raises NotTaken or NothingToTake."""

    def disable(self, ids: list[int], now: datetime) -> None:
        """Have the old package fire these no more."""


def checked_period(seconds: float, described: str) -> int:
    """Return whole seconds. Raises NotTaken for a period that no task can have."""
    if seconds <= 0:
        raise NotTaken(f"{described} is no interval")
    if seconds != int(seconds):
        raise NotTaken(f"{described} is not a whole number of seconds", "have a repeating task do more at a time")
    if seconds > LONGEST_REPEAT:
        raise NotTaken(f"{described} is more than a hundred years")
    return int(seconds)


def latest_missed_or(first: datetime, period: int, now: datetime) -> datetime:
    """Return a slot that is still to come, or of missed ones the latest: they are made up for once, in phase."""
    step = timedelta(seconds=period)
    return first if first > now else first + step * ((now - first) // step)


def aware(moment: datetime | None) -> datetime | None:
    """Return a column's time with its zone: without USE_TZ it is local."""
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment
