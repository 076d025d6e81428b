"""From the call of `enqueue` to the return of `wait`, every worker idle: told of the end, and by looking alone."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.daemon import a_daemon, wait_until_idle, wall_time
from benchmarks.repeats import Variant
from tests.waiting import wait_until

WAYS = ("told", "looking")
PATIENCE = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=200, help="how many, one at a time (default 200)")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="worker processes (default 4)")
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=list(WAYS),
        help="told by whoever settles the task on this host; by looking at the row alone",
    )  # fmt: skip


def variants(options: argparse.Namespace) -> Iterator[Variant]:
    """Return the ways."""
    for way in options.ways:
        yield Variant(way, {"way": way})


def run(options: argparse.Namespace) -> dict[str, float]:
    """Enqueue one task after the other and wait for it; say how long both took, and what came after its begin."""
    from benchmarks.tasks import noted

    called, returned = {}, {}
    with a_daemon(options.workers) as daemon, _waiting(options.way):
        daemon.start()
        wait_until_idle(daemon)
        noted.wait(noted.enqueue(-1).pk, PATIENCE)
        for number in range(options.tasks):
            time.sleep(random.uniform(0.08, 0.16))
            called[number] = wall_time()
            noted.wait(noted.enqueue(number).pk, PATIENCE)
            returned[number] = wall_time()
        wait_until(lambda: len(daemon.begun()) > options.tasks, PATIENCE)
        begun = daemon.begun()
    whole = sorted((returned[number] - at) * 1000 for number, at in called.items())
    after = sorted((returned[number] - begun[number][0]) * 1000 for number in called)
    figures = {f"p{share}_ms": whole[len(whole) * share // 100] for share in (50, 90, 99)}
    figures |= {f"from_body_p{share}_ms": after[len(after) * share // 100] for share in (50, 99)}
    return {name: round(value, 2) for name, value in figures.items()}


@contextmanager
def _waiting(way: str) -> Iterator[None]:
    """Let this process hear of ends, or not."""
    from bgtasks import waiting

    before = waiting.Ear
    if way == "looking":
        waiting.Ear = partial(_deaf, before)  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        waiting.Ear = before  # type: ignore[misc]


def _deaf(kind: type, task_id: int, *, is_wanted: bool) -> object:
    return kind(task_id, is_wanted=False)
