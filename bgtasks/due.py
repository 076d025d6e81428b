"""When a task is due, how urgent it is, and what becomes of waiting ones like it: TaskSchedule. No database here."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from django.conf import settings
from django.utils import timezone

Moment: TypeAlias = datetime | timedelta | int | float
"""A datetime, or how long from now: a timedelta or seconds."""

ScheduleValue: TypeAlias = "TaskSchedule | Moment | Mapping[str, Any] | None"
KINDS = "seconds, a timedelta, a datetime, a dict of run_at, priority and action, or a TaskSchedule"
KEYS = ("run_at", "priority", "action")


class TaskSchedule:
    """When, how urgent, and which action; a field that is None is not given and can be filled by `merge`."""

    SCHEDULE = 0
    RESCHEDULE_EXISTING = 1
    CHECK_EXISTING = 2

    __slots__ = ("_action", "_priority", "_run_at")

    def __init__(self, run_at: Moment | None = None, priority: int | None = None, action: int | None = None) -> None:
        self._run_at = None if run_at is None else read_moment(run_at)
        self._priority = None if priority is None else read_priority(priority)
        self._action = None if action is None else _read_action(action)

    @classmethod
    def create(cls, value: Any) -> TaskSchedule:
        """Return the schedule that a value stands for. Raises TypeError, naming the kinds accepted, for other kinds."""
        if isinstance(value, TaskSchedule):
            return value
        if isinstance(value, Mapping):
            return cls(**_known_keys(value))
        return cls() if value is None else cls(run_at=value)

    def merge(self, other: TaskSchedule) -> TaskSchedule:
        """Return this schedule with its missing fields taken from another."""
        return TaskSchedule(
            other._run_at if self._run_at is None else self._run_at,
            other._priority if self._priority is None else self._priority,
            other._action if self._action is None else self._action,
        )

    @property
    def run_at(self) -> datetime:
        """When the task is due, reckoned from now at each access."""
        return self.due(timezone.now())

    @property
    def priority(self) -> int:
        return self._priority or 0

    @property
    def action(self) -> int:
        return self._action or self.SCHEDULE

    @property
    def is_now(self) -> bool:
        """Say whether the task is due at once, whatever the clock shows."""
        return self._run_at is None or (not isinstance(self._run_at, datetime) and not self._run_at)

    @property
    def is_relative(self) -> bool:
        """Say whether the task is due some time before or after now."""
        return not self.is_now and not isinstance(self._run_at, datetime)

    def due(self, now: datetime) -> datetime:
        """Return when the task is due if it is `now`. Raises ValueError beyond the calendar."""
        if isinstance(self._run_at, datetime):
            return stored_form(self._run_at)
        if self._run_at is None:
            return now
        try:
            return now + (self._run_at if isinstance(self._run_at, timedelta) else timedelta(seconds=self._run_at))
        except OverflowError:
            raise ValueError(f"{self._run_at!r} from now is beyond the calendar") from None

    def _fields(self) -> tuple[Any, ...]:
        return (self._run_at, self._priority, self._action)

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, TaskSchedule) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        action = "" if self._action is None else f", action={self._action}"
        return f"TaskSchedule(run_at={self._run_at!r}, priority={self._priority!r}{action})"


def stored_form(moment: datetime) -> datetime:
    """Return a datetime as the columns hold it: aware with USE_TZ, local and naive without."""
    if settings.USE_TZ and timezone.is_naive(moment):
        warnings.warn(
            f"a task's time received a naive datetime ({moment}) while time zone support is active.",
            RuntimeWarning,
            stacklevel=2,
        )
        return timezone.make_aware(moment)
    try:
        if not settings.USE_TZ and timezone.is_aware(moment):
            return timezone.make_naive(moment, timezone.get_default_timezone())
        if settings.USE_TZ:
            moment.astimezone(UTC)  # as the columns hold it
    except OverflowError:
        raise ValueError(f"{moment} is beyond the calendar in UTC") from None
    return moment


def read_moment(value: Any) -> Moment:
    """Return a moment unchanged. Raises TypeError or ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, (datetime, timedelta, int, float)):
        kind = "a date has no time of day: give a datetime" if isinstance(value, date) else f"give {KINDS}"
        raise TypeError(f"{value!r} is not a time: {kind}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number of seconds")
    return value


def read_priority(value: Any) -> int:
    """Return a priority unchanged. Raises TypeError or ValueError for what is no 32-bit integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a priority: give a whole number, larger is sooner by default")
    if not -(2**31) <= value < 2**31:
        raise ValueError(f"{value!r} is not a priority: it must fit into 32 bits")
    return value


def _read_action(value: Any) -> int:
    actions = (TaskSchedule.SCHEDULE, TaskSchedule.RESCHEDULE_EXISTING, TaskSchedule.CHECK_EXISTING)
    if isinstance(value, bool) or value not in actions:
        raise ValueError(f"{value!r} is not an action: use TaskSchedule.RESCHEDULE_EXISTING or .CHECK_EXISTING")
    return int(value)


def _known_keys(value: Mapping[Any, Any]) -> dict[str, Any]:
    for key in value:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(KEYS)}"
            raise TypeError(f"{key!r} is not a key of a schedule: {hint}")
    return dict(value)
