"""`settings.BGTASKS` as one frozen Conf: every key, its default, its unit, and what is wrong with a given one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from bgtasks import option_bounds
from bgtasks.conf.readers import DEFAULT_KEEP, READERS
from bgtasks.retries import Backoff

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
    settle: str = "batch"
    atomic: bool = False
    database: str = "default"
    task_modules: tuple[str, ...] = ()
    task_apps_excluded: tuple[str, ...] = ()
    log_args: bool | None = None  # None: the value of DEBUG
    keep: Mapping[str, float | None] = dataclasses.field(default_factory=lambda: DEFAULT_KEEP)  # seconds by outcome
    lease: float = 60.0  # seconds
    kill_grace: float = 10.0  # seconds between an interrupt and SIGKILL
    wake: bool = True
    listen: bool | Mapping[str, Any] = True  # or what differs from the tasks database's settings, for that connection

    # bgtasksd start, one key per option
    workers: int | None = None
    queues: tuple[str, ...] | None = None
    concurrency: int | None = None
    sleep: float | None = None  # seconds
    max_age: float | None = None  # seconds
    max_memory: int | None = None  # bytes
    max_memory_kill: int | None = None  # bytes
    max_tasks: int | None = None
    drain_timeout: float | None = None  # seconds
    preload: str | None = None
    strays: str | None = None
    on_failed: str | None = None
    status_socket: bool | None = None
    http: str | None = None
    log_file: str | None = None
    log_format: str | None = None
    daemon: bool | None = None

    # bgtasksd, keys alone
    orphan_timeout: float | None = None  # seconds
    boot_timeout: float | None = None  # seconds
    idle_timeout: float | None = None  # seconds


class Problem(NamedTuple):
    """What is wrong with the settings: the system check it belongs to, and what to write instead."""

    check: str
    text: str
    hint: str


def current() -> Conf:
    """Return the settings in force now. Raises ImproperlyConfigured, naming the key, when one is wrong."""
    global _conf
    if _conf is None:
        found = problems()
        if found:
            raise ImproperlyConfigured("\n".join(f"{problem.text}. {problem.hint}" for problem in found))
        _conf = _build(_given())
    return _conf


def usable() -> Conf:
    """Return the settings in force, or the defaults while these cannot be read: a running worker goes on."""
    try:
        return current()
    except ImproperlyConfigured:
        return Conf()


_conf: Conf | None = None


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _conf
    if setting == "BGTASKS" or setting in HERITAGE_NAMES:
        _conf = None


setting_changed.connect(_forget)


def given_keys() -> Mapping[str, Any]:
    """Return `settings.BGTASKS` as the project wrote it."""
    return getattr(settings, "BGTASKS", None) or {}


def is_given(key: str) -> bool:
    """Tell whether the project sets a key, be it by a heritage name."""
    return key in _given()


def _given() -> dict[str, Any]:
    """Return the keys that the project sets, the heritage names included."""
    given = dict(given_keys())
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


def problems() -> list[Problem]:
    """Return what is wrong: keys that are unknown, values that cannot be, or values that contradict one another."""
    if not isinstance(given_keys(), Mapping):
        text = f"BGTASKS is a {type(given_keys()).__name__}; it must be a dictionary"
        return [Problem("E001", text, 'Write: BGTASKS = {"MAX_ATTEMPTS": 25}')]
    given = _given()
    found = [problem for key, value in given.items() if (problem := _problem_of(key, value))]
    return found or _contradictions(_build(given))


def _problem_of(key: Any, value: Any) -> Problem | None:
    if key not in READERS:
        near = difflib.get_close_matches(str(key).upper(), READERS, n=1)
        hint = f"Did you mean: BGTASKS[{near[0]!r}] = {value!r}" if near else f"The keys are {', '.join(READERS)}"
        return Problem("E001", f"BGTASKS[{key!r}] is not a setting", hint)
    try:
        READERS[key](value)
    except (TypeError, ValueError) as error:
        default = getattr(Conf(), key.lower())
        return Problem("E001", f"BGTASKS[{key!r}]: {error}", f"The default is: BGTASKS[{key!r}] = {default!r}")
    return None


def _contradictions(conf: Conf) -> list[Problem]:
    lease, orphan_timeout = conf.lease, conf.orphan_timeout
    if lease < 3:
        text = f"BGTASKS['LEASE'] is {lease:g} s; it must be 3 s or more"
        return [Problem("E006", text, "Write: BGTASKS['LEASE'] = 60")]
    if lease <= conf.kill_grace:
        text = f"BGTASKS['LEASE'] ({lease:g} s) must be longer than KILL_GRACE ({conf.kill_grace:g} s)"
        return [Problem("E006", text, f"Write: BGTASKS['LEASE'] = {6 * conf.kill_grace:g}")]
    if orphan_timeout is not None and orphan_timeout > lease * 2 / 3:
        text = f"BGTASKS['ORPHAN_TIMEOUT'] ({orphan_timeout:g} s) must be at most two thirds of LEASE ({lease:g} s)"
        return [Problem("E006", text, f"Write: BGTASKS['ORPHAN_TIMEOUT'] = {lease / 2:g}")]
    return [Problem("E001", *found) for found in _contradictions_of_options(conf) if found]


def _contradictions_of_options(conf: Conf) -> Iterator[option_bounds.Contradiction | None]:
    yield option_bounds.of_workers(conf.workers, conf.queues or ("*",), name="BGTASKS['WORKERS']")
    names = "BGTASKS['MAX_MEMORY']", "BGTASKS['MAX_MEMORY_KILL']"
    yield option_bounds.of_memory(conf.max_memory, conf.max_memory_kill, names=names)


__all__ = ["HERITAGE_NAMES", "READERS", "Conf", "Problem", "current", "given_keys", "is_given", "problems", "usable"]
