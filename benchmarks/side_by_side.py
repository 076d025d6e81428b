"""Coroutines that wait, many at a time in one worker: how long all of them take, and what the worker holds then."""

from __future__ import annotations

import argparse
import time

from benchmarks.daemon import MeasuredDaemon, a_daemon, wait_until_idle
from benchmarks.processes import memory
from benchmarks.tasks import sleep, sleep_too_long
from tests.waiting import wait_until

MEGABYTE = 2**20
WITHIN = 300.0
"""Seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=200, help="coroutines (default 200)")
    parser.add_argument("--seconds", type=float, default=1.0, help="that each waits (default 1)")
    parser.add_argument("--places", type=int, default=100, help="of the one worker (default 100)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Run them all; and again with one that is cancelled and one that runs too long."""
    with a_daemon(1, CONCURRENCY=options.places) as daemon:
        daemon.start()
        wait_until_idle(daemon)
        before = own(daemon)
        seconds = elapsed(options, trouble=False)
        after = own(daemon)
        return {
            "seconds": round(seconds, 2),
            "seconds_with_one_cancelled_and_one_late": round(elapsed(options, trouble=True), 2),
            "worker_own_before_mb": before,
            "worker_own_after_mb": after,
        }


def own(daemon: MeasuredDaemon) -> float:
    """Return what the worker holds by itself."""
    return round(memory(daemon.status()["workers"][0]["pid"])[0] / MEGABYTE, 2)


def elapsed(options: argparse.Namespace, *, trouble: bool) -> float:
    """Return the seconds from the commit of all until each of them has ended well."""
    from bgtasks.models import CompletedTask, Status, Task  # the settings are known only now

    CompletedTask.objects.all().delete()
    begun = time.monotonic()
    late, unwanted = (sleep_too_long.enqueue(), sleep.enqueue(3600.0)) if trouble else (None, None)
    sleep.enqueue_many([((options.seconds,), {})] * options.tasks)
    if unwanted is not None:
        wait_until(lambda: Task.objects.filter(pk=unwanted.pk, status=Status.RUNNING).exists(), WITHIN)
        unwanted.cancel()
    wait_until(lambda: CompletedTask.objects.succeeded().count() == options.tasks, WITHIN)
    seconds = time.monotonic() - begun
    wait_until(lambda: not Task.objects.exists(), WITHIN)
    for task, status in ((late, Status.FAILED), (unwanted, Status.CANCELLED)):
        assert task is None or CompletedTask.objects.get(pk=task.pk).status == status, f"{task} was not {status.name}"
    return seconds
