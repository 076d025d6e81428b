"""Storing tasks: one by one, through the decorator or by the queue alone, in one transaction, and many in one call."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks.measuring import measure
from benchmarks.repeats import Variant

ARGUMENTS = ("x" * 115, 12345)
NAMED = {"flag": True}
WAYS = ("one", "queue", "transaction", "many")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure each way (default 5)")
    parser.add_argument("--way", choices=WAYS, help="only this: one, the queue alone, in a transaction, or many")
    parser.add_argument("--calls", type=int, default=1000, help="tasks of one transaction or call (default 1000)")


def variants(options: argparse.Namespace) -> list[Variant]:
    """Return the ways of storing a task."""
    return [Variant(way, {"way": way}) for way in WAYS if options.way in (None, way)]


def run(options: argparse.Namespace) -> dict[str, float]:
    """Measure one way, on fresh rows each time."""
    ways: dict[str, Callable[[int], int]] = {
        "one": one,
        "queue": by_the_queue_alone,
        "transaction": in_a_transaction,
        "many": many,
    }
    store = ways[options.way]
    store(options.calls)
    return measure(lambda: store(options.calls), options.seconds)


def one(calls: int) -> int:
    """Call `enqueue`, each in a transaction of its own."""
    from benchmarks.tasks import nothing

    nothing.enqueue(*ARGUMENTS, **NAMED)
    return 1


def by_the_queue_alone(calls: int) -> int:
    """Store a row whose arguments are encoded: what the decorator adds is the difference to `one`."""
    from bgtasks.models import Task
    from bgtasks.queue import claims

    claims.enqueue(Task.request(task_name="benchmarks.tasks.nothing", task_params="[[], {}]", task_hash="0" * 40))
    return 1


def in_a_transaction(calls: int) -> int:
    """Call `enqueue` again and again in one transaction."""
    from django.db import transaction

    with transaction.atomic():
        for _ in range(calls):
            one(1)
    return calls


def many(calls: int) -> int:
    """Call `enqueue_many` once."""
    from benchmarks.tasks import nothing

    return len(nothing.enqueue_many((ARGUMENTS, NAMED) for _ in range(calls)))
