"""A real `bgtasksd` drains a full queue, undisturbed or while its workers are killed; an outside ledger counts."""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.daemon import Daemon, a_daemon
from tests.waiting import wait_until

PATIENCE = 600.0
"""Seconds for the queue to run dry."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=20_000, help="how many (default 20,000)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (default 4)")
    parser.add_argument("--kill-every", type=float, metavar="S", help="SIGKILL a random worker every S seconds")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Fill, drain and count: the rate, and how often the outside ledger saw each task."""
    from django.db import connection

    with tempfile.TemporaryDirectory() as folder, a_daemon(Path(folder), connection.settings_dict["NAME"]) as make:
        daemon = make(workers=options.workers, SLEEP=1, LEASE=60, KILL_GRACE=10, ORPHAN_TIMEOUT=30)
        fill(options.tasks)
        daemon.start(is_awaited=False)
        wait_until(daemon.ledger_file.exists, within=60)
        begun = time.monotonic()
        delays = list(killed(daemon, options.kill_every)) if options.kill_every else []
        wait_until(is_drained, within=PATIENCE)
        elapsed = time.monotonic() - begun
        return {**counted(daemon, options.tasks, elapsed), **delayed(delays)}


def fill(count: int) -> None:
    """Store that many numbered tasks."""
    from django.db import transaction

    from tests.project.tasks import ping

    for first in range(0, count, 1000):
        with transaction.atomic():
            for number in range(first, min(first + 1000, count)):
                ping.enqueue(number)


def is_drained() -> bool:
    """Tell whether nothing is left to do; while the database is being restarted nobody knows."""
    from django.db import OperationalError, connection

    from bgtasks.models import Task

    try:
        return not Task.objects.exists()
    except OperationalError:
        connection.close()
        return False


def killed(daemon: Daemon, every: float) -> Iterator[float]:
    """Kill a worker, again and again until the queue is empty; yield the seconds until nothing was held by it."""
    while not is_drained():
        next_kill = time.monotonic() + every
        status = daemon.try_status()
        pids = [worker["pid"] for worker in (status["workers"] if status else []) if worker["pid"]]
        if pids:
            yield from death_to_release(random.choice(pids))
        while time.monotonic() < next_kill and not is_drained():
            time.sleep(0.02)


def death_to_release(pid: int) -> Iterator[float]:
    """Kill this worker; yield how long its task, if it had one, was held by the dead."""
    from bgtasks.models import Task, WorkerProcess

    name = WorkerProcess.objects.filter(pid=pid).values_list("name", flat=True).first()
    if name is None:
        return
    os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    held = Task.objects.filter(locked_by=name)
    if held.exists():
        wait_until(lambda: not held.exists(), within=60)
        yield time.monotonic() - begun


def counted(daemon: Daemon, tasks: int, elapsed: float) -> dict[str, float]:
    """Compare the ledger, which tasks write themselves, with the history."""
    from bgtasks.models import CompletedTask

    runs = Counter(entry["number"] for entry in daemon.ledger("ran"))
    return {
        "tasks": tasks,
        "tasks_per_second": round(tasks / elapsed, 1),
        "lost": sum(number not in runs for number in range(tasks)),
        "completed": CompletedTask.objects.succeeded().count(),
        "run_more_than_once": sum(count > 1 for count in runs.values()),
    }


def delayed(delays: list[float]) -> dict[str, float]:
    """Say how long dead workers held their tasks."""
    if not delays:
        return {}
    return {"deaths_in_mid_task": len(delays), "worst_delay_ms": round(max(delays) * 1000, 1)}
