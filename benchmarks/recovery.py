"""From SIGKILL of a worker in the middle of a task until that task can be claimed by another."""

from __future__ import annotations

import argparse
import os
import signal
import time

from benchmarks.daemon import MeasuredDaemon, a_daemon
from tests.waiting import wait_until

LOOK_EVERY = 0.002
LONG_ENOUGH = 3.0
"""Seconds a task takes: well over what it takes to kill its worker, and then another runs it to its end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--kills", type=int, default=10, help="how many workers to kill (default 10)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Kill a worker in mid-task, again and again."""
    with a_daemon(options.workers) as daemon:
        daemon.start()
        delays = sorted(death_to_release(daemon) for _ in range(options.kills))
    return {
        "kills": len(delays),
        "p50_ms": round(delays[len(delays) // 2] * 1000, 1),
        "worst_ms": round(delays[-1] * 1000, 1),
    }


def death_to_release(daemon: MeasuredDaemon) -> float:
    """Give a worker a long task, kill it, and return the seconds until the task is no longer held by the dead."""
    from benchmarks.tasks import nap
    from bgtasks.models import Task

    wait_until(lambda: daemon.is_ready, 60, "every worker ready")
    stored = nap.enqueue(LONG_ENOUGH)
    busy = wait_until(lambda: holder_of(daemon, str(stored.pk)), 60, "a worker in its task")
    held = Task.objects.filter(pk=stored.pk, locked_by=Task.objects.get(pk=stored.pk).locked_by)
    os.kill(busy, signal.SIGKILL)
    begun = time.monotonic()
    while held.exists():
        assert time.monotonic() - begun < 60, f"{held.values()}\n{daemon.log}"
        time.sleep(LOOK_EVERY)
    return time.monotonic() - begun


def holder_of(daemon: MeasuredDaemon, task_id: str) -> int | None:
    """Return the pid of the worker that is well inside of this task."""
    for worker in daemon.status()["workers"]:
        if worker["task_id"] == task_id and (worker["running_for_s"] or 0) > 0.1:
            pid: int = worker["pid"]
            return pid
    return None
