"""What the supervisor itself costs while its workers work: CPU of its process, how often it wakes, its answers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from benchmarks.daemon import MeasuredDaemon, a_daemon, wait_until_idle
from benchmarks.processes import cpu_seconds, memory, wakeups
from benchmarks.repeats import Variant

LONG = 1.0
"""Seconds of a task that keeps its worker busy."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look (default 60)")
    parser.add_argument("--rate", type=float, default=50.0, help="tasks a second that come in (default 50)")
    parser.add_argument("--workers", type=int, default=16, help="worker processes (default 16)")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS), help="which work (default: each)")


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return one variant for each kind of work."""
    return (Variant(load, {"load": load}) for load in options.loads)


def run(options: argparse.Namespace) -> dict[str, float]:
    """Have tasks come in, let it settle for a moment, and look at the supervisor's counters twice."""
    with a_daemon(options.workers) as daemon:
        daemon.start()
        wait_until_idle(daemon)
        keep_working(options, 5.0)
        done, cpu, switches = finished(daemon), cpu_seconds([daemon.pid]), wakeups([daemon.pid])
        begun = time.monotonic()
        keep_working(options, options.seconds)
        elapsed = time.monotonic() - begun
        return {
            "cpu_percent": round((cpu_seconds([daemon.pid]) - cpu) / elapsed * 100, 2),
            "wakeups_per_second": round((wakeups([daemon.pid]) - switches) / elapsed, 1),
            "tasks_per_second": round((finished(daemon) - done) / elapsed, 1),
            "own_mb": round(memory(daemon.pid)[0] / 2**20, 2),
        }


def keep_working(options: argparse.Namespace, seconds: float) -> None:
    """Enqueue at the given rate for that long; what is behind time is made up for at once."""
    begun, count = time.monotonic(), 0
    while (elapsed := time.monotonic() - begun) < seconds:
        while count < elapsed * options.rate:
            LOADS[options.load]()
            count += 1
        time.sleep(1 / options.rate)


def finished(daemon: MeasuredDaemon) -> int:
    """Return how many tasks the daemon has done so far."""
    return int(daemon.status()["totals"]["done"])


def enqueue_nothing() -> None:
    """Enqueue a task that does nothing."""
    from benchmarks.tasks import nothing

    nothing.enqueue()


def enqueue_nap() -> None:
    """Enqueue a task that keeps its worker busy: with enough of them all are."""
    from benchmarks.tasks import nap

    nap.enqueue(LONG)


LOADS = {"short": enqueue_nothing, "long": enqueue_nap}
"""Work that is over at once, and work that keeps every worker busy."""
