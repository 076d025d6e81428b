"""How long short tasks wait while long ones run: none may stand behind a long one in a worker's batch."""

from __future__ import annotations

import argparse
import time

from benchmarks.daemon import a_daemon, drain, wait_until_idle, wall_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--seconds", type=float, default=15.0, help="how long short tasks come in (default 15)")
    parser.add_argument("--rate", type=float, default=50.0, help="short tasks a second (default 50)")
    parser.add_argument("--long", type=float, default=2.0, metavar="S", help="what a long task takes (default 2)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Keep all workers but one in long tasks while short ones come in; return how long those waited."""
    from benchmarks.tasks import nap, noted

    enqueued: list[float] = []
    with a_daemon(options.workers) as daemon:
        daemon.start()
        wait_until_idle(daemon)
        begun = time.monotonic()
        longs = 0
        while (elapsed := time.monotonic() - begun) < options.seconds:
            while longs <= elapsed / options.long * (options.workers - 1):
                nap.enqueue(options.long)
                longs += 1
            enqueued.append(wall_time())
            noted.enqueue(len(enqueued) - 1)
            time.sleep(max(0.0, begun + len(enqueued) / options.rate - time.monotonic()))
        drain(daemon, options.seconds + 120)
        waits = sorted(times[0] - enqueued[number] for number, times in daemon.begun().items())
    return {
        "short_tasks": len(waits),
        "long_tasks": longs,
        "p50_ms": round(waits[len(waits) // 2] * 1000, 1),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 1),
        "worst_ms": round(waits[-1] * 1000, 1),
    }
