"""What `status --json` says, schema 1: the shape. Values in, values out; which problems there are is in `problems`."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 1
COUNT_CAP = 10_000
TOTALS = ("done", "failed", "retried", "cancelled", "released", "reclaimed", "crashed")
RECYCLED = ("age", "memory", "tasks", "reload")
"""Reasons to replace a worker."""
LAST_HOUR = ("done", "failed", "retried", "reclaimed")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """One slot, also one that waits in backoff."""

    slot: int
    queues: tuple[str, ...] | None = None
    """Names and patterns it serves; None: all."""
    pid: int | None = None
    generation: int | None = None
    """Of the application's code."""
    state: str = "backoff"
    task: str | None = None
    task_id: str | None = None
    running_for_s: float | None = None
    progress: dict[str, Any] | None = None
    """What the task has told of how far it is: done, total, message."""
    running: int = 0
    """How many tasks: more than one, where coroutines run side by side."""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    """Those of them that run for the longest time, by these three facts; the first one is told above."""
    memory_bytes: int | None = None
    done: int = 0
    failed: int = 0
    age_s: float = 0.0
    last_exit: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person may have to do something about."""

    code: str
    severity: str
    subject: str | None
    message: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything about one daemon at one moment. Ages and delays in seconds; None: not known."""

    instance: str
    host: str
    pid: int
    version: str
    settings: str
    is_stopping: bool
    ready_for_s: float | None
    """How long ago READY was said; None: not yet."""
    is_reloading: bool = False
    reload_failure: str = ""
    """Why the last reload failed; the code before it goes on."""
    is_failed: bool
    started_at: str
    uptime_s: float
    workers_target: int
    ready: int
    """Slots whose worker takes tasks."""
    short_for_s: float | None
    """How long fewer are ready than wanted."""
    workers: tuple[WorkerFacts, ...]
    unkillable: tuple[tuple[int, int | None], ...] = ()
    """Slot and pid."""
    queues: tuple[dict[str, Any], ...] = ()
    queues_left_out: int = 0
    """Of how many queues there are no figures."""
    figures_age_s: float | None = None
    totals: dict[str, Any] = field(default_factory=dict)
    last_hour: dict[str, int] = field(default_factory=dict)
    zygote: dict[str, Any] = field(default_factory=dict)
    maintenance: dict[str, Any] = field(default_factory=dict)
    renewal_limit_s: float = 40.0
    """Two thirds of a lease."""
    database: dict[str, Any] = field(default_factory=dict)
    database_down_s: float | None = None
    is_migrated: bool = True
    is_directory_lost: bool = False
    is_draining: bool = False
    """No task is started, as told."""

    @property
    def was_ready(self) -> bool:
        """Tell whether READY was said."""
        return self.ready_for_s is not None


def state_of(facts: Facts, found: Iterable[Problem]) -> str:
    """Return the state of the daemon as a whole."""
    if facts.is_stopping:
        return "stopping"
    if facts.is_failed:
        return "failed"
    if not facts.was_ready:
        return "starting"
    if facts.is_draining:
        return "draining"
    if any(problem.severity == "error" for problem in found):
        return "degraded"
    return "reloading" if facts.is_reloading else "running"


def as_json(facts: Facts, found: list[Problem], since: dict[Problem, str]) -> dict[str, Any]:
    """Return the object of schema 1: every key is always there."""
    return {
        "schema_version": SCHEMA_VERSION,
        "instance": facts.instance,
        "host": facts.host,
        "pid": facts.pid,
        "version": facts.version,
        "settings": facts.settings,
        "state": state_of(facts, found),
        "started_at": facts.started_at,
        "uptime_s": _seconds(facts.uptime_s),
        "workers_target": facts.workers_target,
        "workers": [dataclasses.asdict(worker) for worker in facts.workers],
        "queues": list(facts.queues),
        "queues_left_out": facts.queues_left_out,
        "figures_age_s": _seconds(facts.figures_age_s),
        "count_cap": COUNT_CAP,
        "totals": facts.totals,
        "last_hour": facts.last_hour,
        "zygote": facts.zygote,
        "maintenance": facts.maintenance,
        "database": facts.database,
        "problems": [{**dataclasses.asdict(problem), "since": since.get(problem)} for problem in found],
    }


def blank(instance: str, state: str) -> dict[str, Any]:
    """Return the facts of a daemon that does not answer: every key, nothing known."""
    return {
        "schema_version": SCHEMA_VERSION,
        "instance": instance,
        "host": socket.gethostname(),
        **dict.fromkeys(("pid", "version", "settings")),
        "state": state,
        **dict.fromkeys(("started_at", "uptime_s", "workers_target")),
        "workers": [],
        "queues": [],
        "queues_left_out": 0,
        "figures_age_s": None,
        "count_cap": COUNT_CAP,
        "totals": totals_of({}, {}),
        "last_hour": dict.fromkeys(LAST_HOUR, 0),
        "zygote": dict.fromkeys(("pid", "state", "generation")),
        "maintenance": dict.fromkeys(("pid", "state", "last_turn_s", "last_renewal_s")),
        "database": dict.fromkeys(("alias", "vendor", "reachable", "last_contact_s")),
        "problems": [],
    }


def totals_of(total: Mapping[str, int], recycled: Mapping[str, int]) -> dict[str, Any]:
    """Return the counts since the start, those of replaced workers by reason."""
    counts = {name: total.get(name, 0) for name in TOTALS}
    return {**counts, "recycled": {reason: recycled.get(reason, 0) for reason in RECYCLED}}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(max(0.0, value), 3)
