"""What `@background` and `.using()` take: each option, how it is read, and the error that names a wrong value."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from bgtasks.due import Moment, TaskSchedule, read_moment, read_priority
from bgtasks.retries import Backoff, read_backoff
from bgtasks.units import parse_duration

if TYPE_CHECKING:
    from django.db.models import Model

LONGEST_REPEAT = 100 * 366 * 86400
"""Seconds; beyond it the next run could lie outside of the calendar."""


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """The options in force for one decorated function, or for one call of it."""

    schedule: TaskSchedule = dataclasses.field(default_factory=TaskSchedule)  # holds priority and run_at too
    queue: str | None = None  # None: none was named
    remove_existing_tasks: bool = False
    max_attempts: int | None = None  # None: the setting
    max_run_time: int | None = None  # seconds; None: the setting, 0: no limit
    backoff: Backoff | None = None  # None: the setting
    atomic: bool | None = None  # None: the setting
    settle: str | None = None  # None: the setting
    keep_result: bool = False
    takes_context: bool = False
    repeat: int = 0  # seconds; 0: never
    repeat_until: datetime | None = None
    verbose_name: str | None = None
    creator: Model | None = None
    headers: str = ""  # JSON


class DecoratorOptions(TypedDict, total=False):
    """The keyword-only options of `@background`."""

    priority: int | None
    max_attempts: int | None
    max_run_time: float | timedelta | str | None
    backoff: Backoff | None
    atomic: bool | None
    settle: Literal["batch", "each"] | None
    keep_result: bool | None
    repeat: int | timedelta | None
    repeat_until: datetime | None
    verbose_name: str | None


class UsingOptions(TypedDict, total=False):
    """The options of `.using()`; one that is None is not given."""

    queue: str | None
    priority: int | None
    run_at: datetime | timedelta | None
    action: int | None
    remove_existing_tasks: bool | None
    max_attempts: int | None
    max_run_time: float | timedelta | str | None
    repeat: int | timedelta | None
    repeat_until: datetime | None
    verbose_name: str | None
    creator: Model | None
    headers: Mapping[str, Any] | None


def changed(options: TaskOptions, given: Mapping[str, Any], task_name: str) -> TaskOptions:
    """Return the options with those given on top. Raises TypeError or ValueError naming task, option and value."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            values[name] = READERS[name](value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{task_name}: {name}={value!r}: {error}") from None
    on_top = TaskSchedule(values.pop("run_at", None), values.pop("priority", None), values.pop("action", None))
    schedule = on_top.merge(values.pop("schedule", TaskSchedule())).merge(options.schedule)
    return dataclasses.replace(options, schedule=schedule, **values)


def refuse_unknown(given: Mapping[str, Any], allowed: Collection[str], caller: str) -> None:
    """Raise TypeError, with the near name or all of them, for an option that `caller` does not take."""
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(allowed)}"
            raise TypeError(f"{caller} got an unexpected option {name!r}: {hint}")


def read_text(longest: int) -> Callable[[Any], str]:
    """Return a reader of text that every database can hold, of at most `longest` characters."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("it must be a string")
        if not value or "\x00" in value or len(value) > longest:
            raise ValueError(f"it must have 1 to {longest} characters, and none of them NUL")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("it holds half of a surrogate pair, which no database can store")
        return value

    return read


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _flag(value: Any) -> bool:
    if value not in (None, False, True):
        raise TypeError("it must be True or False")
    return bool(value)


def _settle(value: Any) -> str:
    if value not in ("batch", "each"):
        raise ValueError("it must be 'batch' or 'each'")
    return str(value)


def _max_attempts(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("it must be a whole number")
    if not 0 <= value < 2**31:
        raise ValueError("it must be zero or more and fit into 31 bits")
    return value


def _max_run_time(value: Any) -> int:
    """Read whole seconds, rounded up; None means no limit, which is stored as 0."""
    if value is None:
        return 0
    seconds = math.ceil(parse_duration(value))
    if not 0 < seconds < 2**31:
        raise ValueError("it must be more than zero seconds and at most 68 years; None means no limit")
    return seconds


def _repeat(value: Any) -> int:
    """Read whole seconds; zero and below mean never."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError("it must be seconds or a timedelta")
    if seconds != seconds // 1 or seconds > LONGEST_REPEAT:
        raise ValueError("it must be whole seconds, and at most a hundred years")
    return max(0, int(seconds))


def _repeat_until(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("it must be a datetime")
    return value


def _run_at(value: Any) -> Moment:
    if not isinstance(value, (datetime, timedelta)):
        raise TypeError("it must be a datetime or a timedelta, such as timedelta(seconds=30)")
    return read_moment(value)


def _creator(value: Any) -> Any:
    if not hasattr(value, "_meta") or not hasattr(value, "pk"):
        raise TypeError("it must be a model instance")
    if value.pk is None:
        raise ValueError("it must be saved first")
    return value


def _headers(value: Any) -> str:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError("it must be a dictionary with strings as keys")
    return json.dumps(dict(value), sort_keys=True, allow_nan=False)


READERS: dict[str, Callable[[Any], Any]] = {
    "schedule": TaskSchedule.create,
    "queue": _optional(read_text(190)),
    "remove_existing_tasks": _flag,
    "priority": _optional(read_priority),
    "max_attempts": _optional(_max_attempts),
    "max_run_time": _max_run_time,
    "backoff": _optional(read_backoff),
    "atomic": _optional(_flag),
    "settle": _optional(_settle),
    "keep_result": _flag,
    "takes_context": _flag,
    "repeat": lambda value: 0 if value is None else _repeat(value),
    "repeat_until": _optional(_repeat_until),
    "verbose_name": _optional(read_text(255)),
    "creator": _optional(_creator),
    "headers": _optional(_headers),
    "run_at": _optional(_run_at),
    "action": _optional(lambda value: TaskSchedule(action=value).action),
}
"""How each option is read and checked."""
