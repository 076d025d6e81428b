"""A drain under random SIGKILL of workers, of maintenance and of the supervisor.

A ledger outside of the database counts: each task notes its number and the time when its body begins.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any, NamedTuple

from benchmarks.daemon import MeasuredDaemon, a_daemon, wall_time
from benchmarks.database import is_drained
from bgtasksd.children.process import children
from tests.daemon import Daemon

PATIENCE = 1800.0
"""Seconds for the queue to run dry."""
CLOCK = 0.002
"""Seconds that two clocks of one machine, one of them cut to milliseconds, may differ."""
KINDS = {"worker": 16, "maintenance": 4, "supervisor": 1}
"""Who can be killed, and how often one of them is, against the others."""
AT_A_TIME = 5000


class Kill(NamedTuple):
    """Who was killed, and when on the wall clock."""

    kind: str
    at: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=200_000, help="how many (default 200,000)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")
    parser.add_argument("--kill", nargs="+", choices=KINDS, default=list(KINDS), help="whom (default: all of them)")
    parser.add_argument("--every", type=float, default=0.4, metavar="S", help="seconds between two (default 0.4)")
    parser.add_argument("--settle", choices=["batch", "each"], default="batch", help="how successes are written")
    parser.add_argument("--seed", type=int, help="of the choice of victims")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Fill, drain and kill; return what was lost, what happened twice, and how many died."""
    fill(options.tasks)
    given = {"SETTLE": "each"} if options.settle == "each" else {}
    with a_daemon(options.workers, LEASE=30, ORPHAN_TIMEOUT=5, **given) as daemon:
        daemon.start()
        begun = time.monotonic()
        kills = kill_until_drained(daemon, options, random.Random(options.seed))
        elapsed = time.monotonic() - begun
        figures = counted(daemon.begun(), history(), kills, options.tasks)
    died = Counter(kill.kind for kill in kills)
    return {
        **figures,
        "not_successful": unsuccessful(),
        "seconds": round(elapsed, 1),
        **{f"{kind}_kills": died[kind] for kind in KINDS},
    }


def fill(count: int) -> None:
    """Store numbered tasks."""
    from bgtasks.models import Task

    for first in range(0, count, AT_A_TIME):
        numbers = range(first, min(first + AT_A_TIME, count))
        Task.objects.bulk_create(
            Task(task_name="benchmarks.tasks.noted", task_params=f"[[{number}], {{}}]") for number in numbers
        )


def kill_until_drained(daemon: MeasuredDaemon, options: argparse.Namespace, chance: random.Random) -> list[Kill]:
    """Kill somebody every now and then until nothing is left."""
    kills: list[Kill] = []
    weights = [KINDS[kind] for kind in options.kill]
    deadline = time.monotonic() + PATIENCE
    while not is_drained():
        assert time.monotonic() < deadline, f"not drained within {PATIENCE} s:\n{daemon.log[-2000:]}"
        time.sleep(options.every * chance.uniform(0.5, 1.5))
        reap_orphans()
        kind = chance.choices(options.kill, weights)[0]
        pid = victim(daemon, kind, chance)
        if pid is not None:
            kills.append(kill(kind, pid))
        if kind == "supervisor":
            daemon.wait_for_end()
            daemon.start()  # as systemd would
    return kills


def kill(kind: str, pid: int) -> Kill:
    """Kill a process, if it still lives."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return Kill(kind, wall_time())


def victim(daemon: MeasuredDaemon, kind: str, chance: random.Random) -> int | None:
    """Return the pid of somebody of that kind who lives."""
    if kind == "supervisor":
        return daemon.pid
    status: dict[str, Any] = daemon.try_status() or {"workers": [], "maintenance": {"pid": None}}
    if kind == "maintenance":
        pid: int | None = status["maintenance"]["pid"]
        return pid
    pids = [worker["pid"] for worker in status["workers"] if worker["pid"]]
    return chance.choice(pids) if pids else None


def reap_orphans() -> None:
    """Collect workers that outlived a killed supervisor: they have become this process's children."""
    for pid in set(children()) - Daemon.not_adopted:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def counted(
    ledger: dict[int, list[float]], ended: dict[int, list[float]], kills: list[Kill], tasks: int
) -> dict[str, float]:
    """Hold the ledger against the history, both as times by number."""
    both = ledger.keys() & ended
    twice = {number: times for number, times in ledger.items() if len(times) > 1}
    supervisor_kills = [kill.at for kill in kills if kill.kind == "supervisor"]
    return {
        "tasks": tasks,
        "lost": sum(number not in ledger or number not in ended for number in range(tasks)),
        "completed_twice": sum(len(times) > 1 for times in ended.values()),
        "run_after_completion": sum(ledger[number][-1] > min(ended[number]) + CLOCK for number in both),
        "bodies_run_twice": len(twice),
        "twice_without_supervisor_kill": sum(
            not any(times[0] <= at <= times[-1] for at in supervisor_kills) for times in twice.values()
        ),
    }


def history() -> dict[int, list[float]]:
    """Return when each number was recorded as over, as often as it was."""
    from bgtasks.models import CompletedTask

    ended: dict[int, list[float]] = defaultdict(list)
    for params, at in CompletedTask.objects.values_list("task_params", "run_at").iterator():
        ended[int(params[2 : params.index("]")])].append(at.timestamp())
    return ended


def unsuccessful() -> int:
    """Return how many ended in any other way than by success."""
    from bgtasks.models import CompletedTask

    return CompletedTask.objects.failed().count()
