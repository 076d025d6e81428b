"""What each process of an idle daemon holds in memory: its own bytes, and its share of all."""

from __future__ import annotations

import argparse
import time
from statistics import median

from benchmarks.daemon import a_daemon, drain, wait_until_idle
from benchmarks.database import fill
from benchmarks.processes import memory

MEGABYTE = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")
    parser.add_argument("--after", type=int, default=0, metavar="TASKS", help="let them work before (default 0)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Start, perhaps work, and look once everything is at rest."""
    with a_daemon(options.workers) as daemon:
        fill(options.after)  # before anybody could claim what the copies are made of
        daemon.start()
        if options.after:
            drain(daemon, 600)
        wait_until_idle(daemon)
        time.sleep(2)
        status = daemon.status()
        workers = [memory(each["pid"]) for each in status["workers"]]
        others = {
            "supervisor": memory(daemon.pid),
            "zygote": memory(status["zygote"]["pid"]),
            "maintenance": memory(status["maintenance"]["pid"]),
        }
    megabytes = {
        "worker_own": median(own for own, _ in workers),
        "worker_share": median(share for _, share in workers),
        **{f"{name}_own": own for name, (own, _) in others.items()},
        "whole_tree_share": sum(share for _, share in [*workers, *others.values()]),
    }
    return {f"{name}_mb": round(size / MEGABYTE, 2) for name, size in megabytes.items()}
