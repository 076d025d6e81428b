"""The figures of a daemon as Prometheus reads them: values in, text out. Labels are bounded: never pids or ids."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

from bgtasksd.executions import BOUNDS, Executions, Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_QUEUES = 500
"""Beyond so many the rest is left out: a name made of an id must not fill the monitoring."""
STATES = (
    *("spawning", "booting", "idle", "busy", "finishing", "draining", "interrupting", "killing", "unkillable"),
    *("stopped", "backoff"),
)
REASONS = (
    *("max_age", "max_memory", "max_tasks", "reload", "scale", "retired", "stopped"),
    *("time_limit", "memory_limit", "cancelled", "claim_lost", "stuck", "killed"),
    *("out_of_memory", "signal", "exit_code", "boot_failure", "damaged"),
)
"""States of a worker and reasons for its end, all of them always told: nobody can alert on a series that is missing."""

Facts = Mapping[str, Any]
Sample = tuple[dict[str, str], float | int | None]
Metric = tuple[str, str, str, Iterable[Sample]]
"""Name, type, help, samples."""
Times = tuple[str, str, Iterable[tuple[dict[str, str], Histogram]]]
"""Name, help, histograms."""


def text(facts: Facts, exits: Mapping[str, int], executions: Executions) -> str:
    """Return the exposition of the facts of `status --json`, of why workers ended, and of what they have executed."""
    lines: list[str] = []
    queues = facts["queues"][:MOST_QUEUES]
    for name, kind, explained, samples in [*_daemon(facts, exits), *_queues(queues), _executed(executions)]:
        lines += [f"# HELP {name} {explained}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {value!r}" for labels, value in samples if value is not None]
    for name, explained, histograms in _times(executions):
        lines += [f"# HELP {name} {explained}", f"# TYPE {name} histogram"]
        lines += [line for labels, histogram in histograms for line in _buckets(name, labels, histogram)]
    return "\n".join(lines) + "\n"


def _daemon(facts: Facts, exits: Mapping[str, int]) -> Iterator[Metric]:
    workers, totals = facts["workers"], facts["totals"]
    states = [worker["state"] for worker in workers]
    build = {"version": facts["version"], "python": platform.python_version()}
    started = datetime.fromisoformat(facts["started_at"]).timestamp()
    releases = {"worker_died": totals["released"], "lease_expired": totals["reclaimed"]}
    yield "bgtasks_build_info", "gauge", "What runs.", [(build, 1)]
    yield "bgtasks_supervisor_start_time_seconds", "gauge", "When it started.", [({}, started)]
    yield "bgtasks_workers", "gauge", "Workers by state.", [({"state": each}, states.count(each)) for each in STATES]
    yield "bgtasks_workers_target", "gauge", "Workers wanted.", [({}, facts["workers_target"])]
    memory = [({"slot": str(each["slot"])}, each["memory_bytes"]) for each in workers]
    yield "bgtasks_worker_memory_bytes", "gauge", "Memory of a worker alone.", memory
    yield (
        "bgtasks_worker_exits_total",
        "counter",
        "Ended workers.",
        _by("reason", {**dict.fromkeys(REASONS, 0), **exits}),
    )
    yield "bgtasks_tasks_released_total", "counter", "Tasks taken from ended workers.", _by("reason", releases)
    problems = {each: sum(one["severity"] == each for one in facts["problems"]) for each in ("error", "warning")}
    yield "bgtasks_problems", "gauge", "Problems that status shows.", _by("severity", problems)
    is_up = facts["database"]["reachable"]
    yield "bgtasks_database_reachable", "gauge", "Whether it answers.", [({}, None if is_up is None else int(is_up))]


def _queues(queues: list[Facts]) -> Iterator[Metric]:
    def of_each(key: str) -> Iterator[Sample]:
        for queue in queues:
            value = queue[key]
            yield {"queue": queue["name"]}, int(value) if isinstance(value, bool) else value

    yield (
        "bgtasks_queue_oldest_ready_age_seconds",
        "gauge",
        "How long a ready task waits.",
        of_each("oldest_ready_age_s"),
    )
    yield "bgtasks_queue_paused", "gauge", "Whether it is paused.", of_each("paused")
    yield "bgtasks_queue_workers", "gauge", "Workers on all hosts that serve it.", of_each("workers")
    statuses = ("scheduled", "ready", "running")
    counts = [({"queue": queue["name"], "status": each}, queue[each]) for queue in queues for each in statuses]
    yield "bgtasks_tasks", "gauge", "Tasks in the queue, counted up to 10,001.", counts


def _executed(executions: Executions) -> Metric:
    names = "task", "queue", "outcome"
    counts = [(dict(zip(names, place, strict=True)), count) for place, count in sorted(executions.ended.items())]
    return "bgtasks_task_executions_total", "counter", "Attempts on this host.", counts


def _times(executions: Executions) -> Iterator[Times]:
    durations = [({"task": task, "queue": queue}, each) for (task, queue), each in sorted(executions.durations.items())]
    yield "bgtasks_task_duration_seconds", "How long an attempt took.", durations
    waits = [({"queue": queue}, each) for queue, each in sorted(executions.waits.items())]
    yield "bgtasks_task_wait_seconds", "From the moment a task was due to its claim.", waits


def _buckets(name: str, labels: dict[str, str], histogram: Histogram) -> Iterator[str]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield f"{name}_bucket{_labels({**labels, 'le': bound})} {count}"
    yield f"{name}_sum{_labels(labels)} {histogram.seconds!r}"
    yield f"{name}_count{_labels(labels)} {sum(histogram.counts)}"


def _by(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [({label: name}, count) for name, count in sorted(counts.items())]


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
