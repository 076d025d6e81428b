"""How each key of `settings.BGTASKS` is read: into its unit, or a ValueError or TypeError that says what it must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bgtasks.option_bounds import (
    possible_address,
    possible_concurrency,
    possible_queues,
    possible_sleep,
    possible_workers,
)
from bgtasks.queue_filters import groups_of
from bgtasks.retries import read_backoff
from bgtasks.units import parse_duration, parse_size

DAY = 86400.0
CONNECTION_KEYS = ("HOST", "PORT", "NAME", "USER", "PASSWORD", "OPTIONS")
DEFAULT_KEEP: Mapping[str, float | None] = {"successful": 7 * DAY, "failed": 30 * DAY, "cancelled": 7 * DAY}


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a whole number, zero or more")
    return value


def _limit(value: Any) -> float:
    seconds = parse_duration(value)
    if not seconds:
        raise ValueError("it must be more than zero seconds; None means no limit")
    return seconds


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither True nor False")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a string")
    return value


def _names(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{value!r} is not a list of names")
    return tuple(name.strip() for name in names if name.strip())


def _queues(value: Any) -> tuple[str, ...] | None:
    """Read what a daemon serves, each text as `--queue` does; an empty list means everything."""
    _names(value)
    texts = [value] if isinstance(value, str) else value
    return possible_queues([group for text in texts for group in groups_of(text)]) if texts else None


def _address(value: Any) -> str:
    """Read where health and metrics are served; an empty text: nowhere."""
    return possible_address(value) if _text(value) else value


def _listen(value: Any) -> bool | Mapping[str, Any]:
    """Read True, False, or a dictionary that is laid over the settings of the tasks database."""
    if isinstance(value, Mapping):
        for key in value:
            if key not in CONNECTION_KEYS:
                raise ValueError(f"{key!r} is not one of {', '.join(CONNECTION_KEYS)}")
        return dict(value) if value else True
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither True nor False nor a dictionary such as {{'PORT': 5432}}")
    return value


def _within(read: Callable[[Any], Any], possible: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: possible(read(value))


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        return str(value)

    return read


def _keep(value: Any) -> Mapping[str, float | None]:
    """Read one duration for all outcomes, or a dictionary of them."""
    outcomes = ("successful", "failed", "cancelled")
    if not isinstance(value, Mapping):
        return dict.fromkeys(outcomes, _optional(parse_duration)(value))
    for outcome in value:
        if outcome not in outcomes:
            raise ValueError(f"{outcome!r} is not one of {', '.join(outcomes)}")
    return {**DEFAULT_KEEP, **{outcome: _optional(parse_duration)(kept) for outcome, kept in value.items()}}


READERS: dict[str, Callable[[Any], Any]] = {
    "MAX_ATTEMPTS": _count,
    "MAX_RUN_TIME": _optional(_limit),
    "PRIORITY_ORDERING": _one_of("ASC", "DESC"),
    "BACKOFF": _optional(read_backoff),
    "REPEAT_AFTER_FAILURE": _flag,
    "SETTLE": _one_of("batch", "each"),
    "ATOMIC": _flag,
    "DATABASE": _text,
    "TASK_MODULES": _names,
    "TASK_APPS_EXCLUDED": _names,
    "LOG_ARGS": _optional(_flag),
    "KEEP": _keep,
    "LEASE": parse_duration,
    "KILL_GRACE": parse_duration,
    "WAKE": _flag,
    "LISTEN": _listen,
    "WORKERS": _optional(_within(_count, possible_workers)),
    "QUEUES": _optional(_queues),
    "CONCURRENCY": _optional(_within(_count, possible_concurrency)),
    "SLEEP": _optional(_within(parse_duration, possible_sleep)),
    "MAX_AGE": _optional(parse_duration),
    "MAX_MEMORY": _optional(parse_size),
    "MAX_MEMORY_KILL": _optional(parse_size),
    "MAX_TASKS": _optional(_count),
    "DRAIN_TIMEOUT": _optional(parse_duration),
    "PRELOAD": _optional(_one_of("auto", "none")),
    "STRAYS": _optional(_one_of("end", "report")),
    "ON_FAILED": _optional(_one_of("wait", "exit")),
    "STATUS_SOCKET": _optional(_flag),
    "HTTP": _optional(_address),
    "LOG_FILE": _optional(_text),
    "LOG_FORMAT": _optional(_one_of("text", "json")),
    "DAEMON": _optional(_flag),
    "ORPHAN_TIMEOUT": _optional(parse_duration),
    "BOOT_TIMEOUT": _optional(parse_duration),
    "IDLE_TIMEOUT": _optional(parse_duration),
}
"""How each key is read and checked."""
