"""From the call of `enqueue` to the start of the body, every worker idle: by each way of being woken, and by none."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator

from benchmarks.daemon import a_daemon, heard_in, wait_until_idle, wall_time
from benchmarks.repeats import Variant
from tests.waiting import wait_until

SETTINGS = {"socket": {"LISTEN": False}, "notify": {}, "both": {}, "polling": {"WAKE": False}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=200, help="how many, one at a time (default 200)")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="worker processes (default 4)")
    parser.add_argument(
        "--ways", nargs="+", choices=list(SETTINGS), default=["socket", "notify", "polling"],
        help="woken on the same host; by the database alone (PostgreSQL); by nothing",
    )  # fmt: skip


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return the ways that this database has."""
    from django.db import connection

    for way in options.ways:
        if way != "notify" or connection.vendor == "postgresql":
            yield Variant(way, {"way": way})


def run(options: argparse.Namespace) -> dict[str, float]:
    """Enqueue one task after the other, each when all is quiet again, and say how long they took to begin."""
    from benchmarks.tasks import noted

    count = options.tasks if options.way != "polling" else max(1, options.tasks // 20)
    with (
        a_daemon(options.workers, **SETTINGS[options.way]) as daemon,
        heard_in(daemon.directory / "nowhere" if options.way == "notify" else daemon.runtime),
    ):
        daemon.start()
        wait_until_idle(daemon)
        noted.enqueue(-1)
        wait_until(lambda: -1 in daemon.begun(), 60)
        called = {}
        for number in range(count):
            time.sleep(random.uniform(0.08, 0.16))
            called[number] = wall_time()
            noted.enqueue(number)
            wait_until(lambda number=number: number in daemon.begun(), 60)
        begun = daemon.begun()
    waits = sorted((begun[number][0] - at) * 1000 for number, at in called.items())
    return {f"p{share}_ms": round(waits[len(waits) * share // 100], 2) for share in (50, 90, 99)}
