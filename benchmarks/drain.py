"""A real `bgtasksd` works through a full queue: tasks a second, by the number of workers and the way of settling."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from benchmarks.daemon import a_daemon, drain
from benchmarks.database import fill
from benchmarks.repeats import Variant

PATIENCE = 900.0
"""Seconds for the queue to run dry."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=100_000, help="how many (default 100,000)")
    parser.add_argument("--workers", type=int, nargs="+", default=[4], metavar="N", help="worker processes (default 4)")
    parser.add_argument(
        "--settle", nargs="+", choices=["batch", "each"], default=["batch"], help="how successes are written"
    )


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return every number of workers with every way of settling."""
    for workers in options.workers:
        for settle in options.settle:
            yield Variant(f"{workers} workers, {settle}", {"workers": workers, "settle": settle})


def run(options: argparse.Namespace) -> dict[str, float]:
    """Fill, then start, and wait until nothing is left; the rate is what the history's own times say."""
    given = {"SETTLE": "each"} if options.settle == "each" else {}
    fill(options.tasks)
    with a_daemon(options.workers, **given) as daemon:
        daemon.start(is_awaited=False)
        drain(daemon, PATIENCE)
    return {"tasks": options.tasks, "tasks_per_second": round(rate(), 1)}


def rate() -> float:
    """Return tasks a second from the first claim to the last ending: the database's clock, no looking meanwhile."""
    from django.db.models import Count, Max, Min

    from bgtasks.models import CompletedTask

    seen = CompletedTask.objects.aggregate(done=Count("id"), first=Min("locked_at"), last=Max("run_at"))
    return float(seen["done"] / (seen["last"] - seen["first"]).total_seconds())
