"""`settings.BGTASKS` as one frozen Conf: every key, its default, its unit, and what is wrong with a given one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from bgtasks.retries import Backoff, read_backoff
from bgtasks.units import parse_duration, parse_size

DAY = 86400.0
HERITAGE_NAMES = {
    "MAX_ATTEMPTS": "MAX_ATTEMPTS",
    "MAX_RUN_TIME": "MAX_RUN_TIME",
    "BACKGROUND_TASK_PRIORITY_ORDERING": "PRIORITY_ORDERING",
}
"""Module-level settings of django-background-tasks, honoured when the key is absent."""


@dataclass(frozen=True, slots=True)
class Conf:
    """The settings in force. Field names are the keys of `BGTASKS` in lower case; None means "not given"."""

    # tasks
    max_attempts: int = 25
    max_run_time: float | None = 3600.0  # seconds; None: no limit
    priority_ordering: str = "DESC"
    backoff: Backoff | None = None  # seconds, or as the decorator takes it; None: attempts ** 4 + 5
    repeat_after_failure: bool = True
    database: str = "default"
    task_modules: tuple[str, ...] = ()
    task_apps_excluded: tuple[str, ...] = ()
    log_args: bool | None = None  # None: the value of DEBUG
    keep: Mapping[str, float | None] = dataclasses.field(
        default_factory=lambda: {"successful": 7 * DAY, "failed": 30 * DAY, "cancelled": 7 * DAY}
    )  # seconds by outcome; None: for ever
    lease: float = 60.0  # seconds
    kill_grace: float = 10.0  # seconds between an interrupt and SIGKILL

    # bgtasksd start, one key per option
    workers: int | None = None
    queues: tuple[str, ...] | None = None
    sleep: float | None = None  # seconds
    max_age: float | None = None  # seconds
    max_memory: int | None = None  # bytes
    max_tasks: int | None = None
    drain_timeout: float | None = None  # seconds
    log_file: str | None = None
    log_format: str | None = None
    daemon: bool | None = None

    # bgtasksd, keys alone
    orphan_timeout: float | None = None  # seconds
    boot_timeout: float | None = None  # seconds
    idle_timeout: float | None = None  # seconds
    preload: str | None = None


def current() -> Conf:
    """Return the settings in force now. Raises ImproperlyConfigured, naming the key, when one is wrong."""
    global _conf
    if _conf is None:
        found = problems(_given())
        if found:
            raise ImproperlyConfigured("\n".join(found))
        _conf = _build(_given())
    return _conf


_conf: Conf | None = None


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _conf
    if setting == "BGTASKS" or setting in HERITAGE_NAMES:
        _conf = None


setting_changed.connect(_forget)


def _given() -> dict[str, Any]:
    """Return the keys that the project sets, the heritage names included."""
    given = dict(getattr(settings, "BGTASKS", None) or {})
    for name, key in HERITAGE_NAMES.items():
        if key not in given and hasattr(settings, name):
            given[key] = _heritage_value(key, getattr(settings, name))
    return given


def _heritage_value(key: str, value: Any) -> Any:
    if key == "PRIORITY_ORDERING":
        return "ASC" if value == "ASC" else "DESC"
    return value


def _build(given: Mapping[str, Any]) -> Conf:
    return Conf(**{key.lower(): READERS[key](value) for key, value in given.items()})


def problems(given: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each key that is unknown or holds a value that cannot be."""
    found = []
    for key, value in given.items():
        if key not in READERS:
            found.append(f"BGTASKS[{key!r}] is not a setting.{_near(key)}")
            continue
        try:
            READERS[key](value)
        except (TypeError, ValueError) as error:
            found.append(f"BGTASKS[{key!r}]: {error}")
    return found or _contradictions(_build(given))


def _near(key: object) -> str:
    near = difflib.get_close_matches(str(key).upper(), READERS, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _contradictions(conf: Conf) -> list[str]:
    if conf.lease < 3:
        return [f"BGTASKS['LEASE'] is {conf.lease:g} s; it must be 3 s or more"]
    if conf.lease <= conf.kill_grace:
        return [f"BGTASKS['LEASE'] ({conf.lease:g} s) must be longer than KILL_GRACE ({conf.kill_grace:g} s)"]
    orphan_timeout = 30.0 if conf.orphan_timeout is None else conf.orphan_timeout
    if conf.orphan_timeout is not None and orphan_timeout > conf.lease * 2 / 3:
        return [f"BGTASKS['ORPHAN_TIMEOUT'] ({orphan_timeout:g} s) must be at most two thirds of LEASE"]
    return []


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a whole number, zero or more")
    return value


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
    defaults = Conf().keep
    return {**defaults, **{outcome: _optional(parse_duration)(kept) for outcome, kept in value.items()}}


READERS: dict[str, Callable[[Any], Any]] = {
    "MAX_ATTEMPTS": _count,
    "MAX_RUN_TIME": _optional(parse_duration),
    "PRIORITY_ORDERING": _one_of("ASC", "DESC"),
    "BACKOFF": _optional(read_backoff),
    "REPEAT_AFTER_FAILURE": _flag,
    "DATABASE": _text,
    "TASK_MODULES": _names,
    "TASK_APPS_EXCLUDED": _names,
    "LOG_ARGS": _optional(_flag),
    "KEEP": _keep,
    "LEASE": parse_duration,
    "KILL_GRACE": parse_duration,
    "WORKERS": _optional(_count),
    "QUEUES": _optional(_names),
    "SLEEP": _optional(parse_duration),
    "MAX_AGE": _optional(parse_duration),
    "MAX_MEMORY": _optional(parse_size),
    "MAX_TASKS": _optional(_count),
    "DRAIN_TIMEOUT": _optional(parse_duration),
    "LOG_FILE": _optional(_text),
    "LOG_FORMAT": _optional(_one_of("text", "json")),
    "DAEMON": _optional(_flag),
    "ORPHAN_TIMEOUT": _optional(parse_duration),
    "BOOT_TIMEOUT": _optional(parse_duration),
    "IDLE_TIMEOUT": _optional(parse_duration),
    "PRELOAD": _optional(_one_of("auto", "none")),
}
"""How each key is read and checked."""

__all__ = ["HERITAGE_NAMES", "READERS", "Conf", "current", "problems"]
