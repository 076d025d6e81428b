"""How late a task starts that was scheduled for a moment, while every worker is idle."""

from __future__ import annotations

import argparse
import random
from datetime import UTC, datetime

from benchmarks.daemon import a_daemon, drain, wait_until_idle, wall_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=60, help="how many (default 60)")
    parser.add_argument("--over", type=float, default=20.0, metavar="S", help="seconds they lie apart (default 20)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Schedule tasks for random moments and compare these with the times at which the bodies begin."""
    from benchmarks.tasks import noted

    with a_daemon(options.workers) as daemon:
        daemon.start()
        wait_until_idle(daemon)
        begin = wall_time() + 2
        due = [begin + random.uniform(0, options.over) for _ in range(options.tasks)]
        for number, at in enumerate(due):
            noted.using(run_at=datetime.fromtimestamp(at, UTC)).enqueue(number)
        drain(daemon, options.over + 60)
        late = sorted(times[0] - due[number] for number, times in daemon.begun().items())
    return {
        "tasks": len(late),
        "p50_ms": round(late[len(late) // 2] * 1000, 2),
        "p99_ms": round(late[min(len(late) - 1, int(len(late) * 0.99))] * 1000, 2),
        "worst_ms": round(late[-1] * 1000, 2),
    }
