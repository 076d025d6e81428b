"""What `status --json` says, schema 1: the shape, and which problems there are. Values in, values out."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

SCHEMA_VERSION = 1
COUNT_CAP = 10_000
LATE = 30.0
"""Seconds that a shortage of workers or of the database is passed over."""
FORGOTTEN = timedelta(hours=24)
"""After so long a pause without an end may have been forgotten."""
UNSERVED = 60.0
"""Seconds that a ready task waits before it is said that nobody serves its queue."""
STALE = 60.0
"""Seconds after which queue figures are no longer news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """One slot, also one that waits in backoff."""

    slot: int
    queues: tuple[str, ...] | None = None
    """Names and patterns it serves; None: all."""
    pid: int | None = None
    state: str = "backoff"
    task: str | None = None
    task_id: str | None = None
    running_for_s: float | None = None
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
    was_ready: bool
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


def problems(facts: Facts) -> list[Problem]:
    """Return what is wrong, errors first. A daemon that is starting or stopping as told has no shortage of workers."""
    found = list(_worker_problems(facts)) if facts.was_ready and not facts.is_stopping else []
    found += _other_problems(facts)
    return sorted(found, key=lambda problem: problem.severity != "error")


def _worker_problems(facts: Facts) -> Iterable[Problem]:
    if facts.is_failed:
        text = "every worker failed again and again; trying once a minute"
        yield Problem("breaker_open", "error", None, text, "bgtasksd status --json")
    if facts.short_for_s is not None and facts.short_for_s >= LATE:
        text = f"{facts.ready} of {facts.workers_target} workers are ready"
        yield Problem("workers_below_target", "error", None, text, "bgtasksd status")
    for worker in facts.workers:
        if worker.state == "backoff":
            text = f"slot {worker.slot} waits after failures; the last exit: {worker.last_exit}"
            yield Problem("slot_in_backoff", "error", str(worker.slot), text, "bgtasksd status --json")
    if facts.zygote.get("pid") is None:
        yield Problem("zygote_down", "warning", None, "no worker can be forked at the moment", "bgtasksd status")


def _other_problems(facts: Facts) -> Iterable[Problem]:
    for slot, pid in facts.unkillable:
        text = f"pid {pid} survives SIGKILL; its task stays claimed"
        yield Problem("worker_unkillable", "error", str(slot), text, f"cat /proc/{pid}/stack")
    yield from _maintenance_problems(facts)
    if facts.database_down_s is not None and facts.database_down_s >= LATE:
        text = f"no contact for {facts.database_down_s:.0f} s"
        yield Problem("database_unreachable", "error", facts.database["alias"], text, "python manage.py dbshell")
    if not facts.is_migrated:
        text = "tables of bgtasks are missing in the database"
        yield Problem("migrations_missing", "warning", facts.database["alias"], text, "python manage.py migrate")
    if facts.is_directory_lost:
        text = "lock or control socket were removed under the running daemon"
        yield Problem("runtime_dir_lost", "error", None, text, f"kill -TERM {facts.pid}")
    yield from _queue_problems(facts)
    if facts.was_ready and facts.figures_age_s is not None and facts.figures_age_s > STALE:
        text = f"queue figures are {facts.figures_age_s:.0f} s old"
        yield Problem("figures_stale", "warning", None, text, "bgtasksd status")


def _queue_problems(facts: Facts) -> Iterable[Problem]:
    now = datetime.fromisoformat(facts.started_at) + timedelta(seconds=facts.uptime_s)
    for queue in facts.queues:
        name, pause = queue["name"], queue["pause"] or {}
        paused_for = now - datetime.fromisoformat(pause["since"]) if pause.get("since") else timedelta()
        if paused_for > FORGOTTEN and not pause["until"]:
            text = f"paused for {paused_for // timedelta(hours=1)} h"
            yield Problem("queue_paused_long", "warning", name, text, f"bgtasksd resume {shlex.quote(name)}")
        if queue["workers"] == 0 and not queue["paused"] and (queue["oldest_ready_age_s"] or 0) > UNSERVED:
            text = "tasks are ready, and no worker on any host serves this queue"
            yield Problem("queue_without_worker", "warning", name, text, f"bgtasksd start --queue {shlex.quote(name)}")


def _maintenance_problems(facts: Facts) -> Iterable[Problem]:
    if not facts.was_ready or facts.is_stopping:
        return
    if facts.maintenance.get("pid") is None:
        yield Problem("maintenance_down", "error", None, "maintenance is being started again", "bgtasksd status")
    renewal = facts.maintenance.get("last_renewal_s")
    since = facts.uptime_s if renewal is None else renewal
    if since > facts.renewal_limit_s:
        text = f"no lease was renewed for {since:.0f} s"
        yield Problem("renewal_late", "error", None, text, "bgtasksd status")


def state_of(facts: Facts, found: Iterable[Problem]) -> str:
    """Return the state of the daemon as a whole."""
    if facts.is_stopping:
        return "stopping"
    if facts.is_failed:
        return "failed"
    if not facts.was_ready:
        return "starting"
    return "degraded" if any(problem.severity == "error" for problem in found) else "running"


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
        "figures_age_s": _seconds(facts.figures_age_s),
        "count_cap": COUNT_CAP,
        "totals": facts.totals,
        "last_hour": facts.last_hour,
        "zygote": facts.zygote,
        "maintenance": facts.maintenance,
        "database": facts.database,
        "problems": [{**dataclasses.asdict(problem), "since": since.get(problem)} for problem in found],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(max(0.0, value), 3)
