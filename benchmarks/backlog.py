"""How long a turn takes with millions of rows ready, scheduled, in other queues or over; before ANALYZE and after."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from benchmarks.database import AT_A_TIME, fill
from benchmarks.repeats import Variant

FAR = 10**12
"""Added to the ids of the history's rows: those of the live ones are yet to come there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--ready", type=int, default=1_000_000, help="rows that are ready (default 1,000,000)")
    parser.add_argument("--scheduled", type=int, default=1_000_000, help="rows for tomorrow (default 1,000,000)")
    parser.add_argument("--history", type=int, default=1_000_000, help="rows in the history (default 1,000,000)")
    parser.add_argument("--batch", type=int, default=50, help="tasks settled and claimed in one turn (default 50)")
    parser.add_argument("--turns", type=int, default=200, help="turns measured, twice (default 200)")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="small, backlog, unserved, paused (default all)")


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return the small queue to compare with, and the three in which the millions stand."""
    small = {"ready": 0, "scheduled": 0, "history": 0, "aside": 0, "queues": None}
    aside = {**small, "aside": options.ready}
    found = {
        "small": small,
        "backlog": {"aside": 0, "queues": None},
        "unserved": {**aside, "queues": ("default",)},
        "paused": aside,
    }
    for name, changes in found.items():
        if name in (options.only or found):
            yield Variant(name, changes)


def run(options: argparse.Namespace) -> dict[str, float]:
    """Fill, then turn again and again: first with the statistics of an empty table, then with new ones."""
    from django.db import connection
    from django.utils import timezone

    from bgtasks.models import Queue

    fill(options.ready + (2 * options.turns + 4) * options.batch)
    fill(options.aside, queue="aside")
    fill(options.scheduled, status=0, run_at=timezone.now() + timedelta(days=1))
    _fill_history(options.history)
    Queue.objects.ensure({"default", "aside"})
    paused_at = timezone.now() if options.aside and options.queues is None else None
    Queue.objects.filter(name="aside").update(paused_at=paused_at)
    figures = _turns(options)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE bgtasks_task" if connection.vendor == "mysql" else "ANALYZE")
        if cursor.description:
            cursor.fetchall()
    return figures | {f"{name}_analysed": figure for name, figure in _turns(options).items()}


def _turns(options: argparse.Namespace) -> dict[str, float]:
    from bgtasks.queue import claims
    from bgtasks.queue.types import Holder, Outcome, Result

    holder = Holder("host:main:1:benchmark", lease=600.0, queues=options.queues)
    outcomes: list[Outcome] = []
    took = []
    for _ in range(options.turns + 1):
        begun = time.monotonic()
        turned = claims.turn(outcomes, options.batch, holder)
        took.append(time.monotonic() - begun)
        assert len(turned.claims) == options.batch, "the queue has run dry"
        outcomes = [Outcome(claim, Result.SUCCESSFUL, 0.0) for claim in turned.claims]
    claims.turn(outcomes, 0, holder)
    took = sorted(took[1:])
    return {"p50_ms": _ms(took, 0.5), "p99_ms": _ms(took, 0.99)}


def _ms(took: list[float], share: float) -> float:
    return round(took[min(int(len(took) * share), len(took) - 1)] * 1000, 2)


def _fill_history(count: int) -> None:
    """Copy ready rows into the history, a statement for each so many."""
    from django.db import connection

    from bgtasks.models import CompletedTask, Task

    quote = connection.ops.quote_name
    live = {field.column for field in Task._meta.concrete_fields}
    values: dict[str, Any] = {field.column: quote(field.column) for field in CompletedTask._meta.concrete_fields}
    values |= {name: "NULL" for name in values if name not in live}
    values |= {"id": f"id + {FAR}", "outcome": "10", "finished_at": "run_at", "run_at": "run_at"}
    shown = {field.column for field in CompletedTask._meta.concrete_fields}
    columns = [name for name in values if name in shown]
    first = Task.objects.order_by("id").values_list("id", flat=True).first() or 0
    for begin in range(first, first + count, AT_A_TIME):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO bgtasks_completedtask ({', '.join(map(quote, columns))})"
                f" SELECT {', '.join(values[name] for name in columns)} FROM bgtasks_task"
                f" WHERE id >= {begin} AND id < {min(begin + AT_A_TIME, first + count)} AND status = 1"
            )
