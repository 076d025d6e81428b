"""CPU of one worker for a task that does nothing: Python and the framework, the driver's statements told apart."""

from __future__ import annotations

import argparse
import logging
from time import monotonic, thread_time

from benchmarks.database import fill
from benchmarks.measuring import DriverTime


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this scenario takes."""
    parser.add_argument("--tasks", type=int, default=20_000, help="how many (default 20,000)")


def run(options: argparse.Namespace) -> dict[str, float]:
    """Let a worker run that many tasks in this process, and look at what its thread has used."""
    from django.db import connection

    from benchmarks import tasks  # noqa: F401 - the worker must know them
    from bgtasks.limits import Limits
    from bgtasks.queue.types import Holder
    from bgtasks.worker import Worker

    fill(options.tasks)
    logging.getLogger("bgtasks").setLevel(logging.WARNING)  # as under the daemon's default: nothing of a success
    driver = DriverTime()
    worker = Worker(Holder("host:main:1:benchmark", lease=60.0), limits=Limits(max_tasks=options.tasks))
    with connection.execute_wrapper(driver):
        begun, cpu = monotonic(), thread_time()
        worker.run()
        elapsed, cpu = monotonic() - begun, thread_time() - cpu
    return {
        "tasks_per_second": round(options.tasks / elapsed, 1),
        "cpu_us_per_task": round(cpu / options.tasks * 1e6, 1),
        "cpu_us_per_task_without_driver": round((cpu - driver.seconds) / options.tasks * 1e6, 1),
    }
