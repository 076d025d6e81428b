"""Storing one task at a time, autocommit: the queue's own cost, without a decorator in front of it."""

from __future__ import annotations

from benchmarks.database import PARAMS
from benchmarks.measuring import measure


def run(seconds: float, batch: int) -> dict[str, float]:
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
    return measure(store, seconds)
