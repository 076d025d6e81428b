"""Storing one task at a time, autocommit: the queue's own cost, without a decorator in front of it."""

from __future__ import annotations

import argparse

from benchmarks.database import PARAMS
from benchmarks.measuring import measure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure (default 5)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Measure `claims.enqueue` on a fresh row each time."""
    from bgtasks.arguments import hash_of
    from bgtasks.models import Task
    from bgtasks.queue import claims

    name = "benchmarks.nothing"
    task_hash = hash_of(name, PARAMS)

    def store() -> int:
        claims.enqueue(Task.request(task_name=name, task_params=PARAMS, task_hash=task_hash))
        return 1

    store()
    return measure(store, options.seconds)
