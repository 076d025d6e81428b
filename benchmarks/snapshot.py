"""A drain while somebody's idle transaction keeps an old snapshot open, and the same without."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from benchmarks.daemon import a_daemon, drain
from benchmarks.database import fill
from benchmarks.drain import PATIENCE, rate
from benchmarks.repeats import Variant

PIN = {
    "postgresql": ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM bgtasks_queue"],
    "mysql": ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"],
    "sqlite": ["BEGIN", "SELECT count(*) FROM bgtasks_queue"],
}
"""Statements after which the database may clean up nothing that is deleted later."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=200_000, help="how many (default 200,000)")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="worker processes (default 4)")


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return the drain as it is, and the one beside an open snapshot."""
    yield Variant("undisturbed", {"is_pinned": False})
    yield Variant("pinned", {"is_pinned": True})


def run(options: argparse.Namespace) -> dict[str, float]:
    """Fill, open the snapshot if asked to, and drain."""
    fill(options.tasks)
    with pinned() if options.is_pinned else nullcontext(), a_daemon(options.workers) as daemon:
        daemon.start(is_awaited=False)
        drain(daemon, PATIENCE)
        return {"tasks": options.tasks, "tasks_per_second": round(rate(), 1)}


@contextmanager
def pinned() -> Iterator[None]:
    """Keep a snapshot open on a connection of its own."""
    from django.db import connection

    other = connection.copy()
    try:
        with other.cursor() as cursor:
            for statement in PIN[other.vendor]:
                cursor.execute(statement)
                if cursor.description:
                    cursor.fetchall()
        yield
    finally:
        other.close()
