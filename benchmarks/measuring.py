"""Operations per second and CPU per operation, with the part spent in the database driver told apart."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, thread_time
from typing import Any

from django.db import connection


class DriverTime:
    """CPU seconds spent executing statements, in the driver and Django's cursor around it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, execute: Callable[..., Any], *details: Any) -> Any:
        begun = thread_time()
        try:
            return execute(*details)
        finally:
            self.seconds += thread_time() - begun


def measure(operation: Callable[[], int], seconds: float) -> dict[str, float]:
    """Call again and again; `operation` returns how many tasks it dealt with, 0 ends it early.

    The rate is measured without looking; the CPU in a second, shorter run with a look at each statement.
    """
    done, elapsed, cpu = _repeat(operation, seconds)
    driver = DriverTime()
    with connection.execute_wrapper(driver):
        looked_at, _, looked_cpu = _repeat(operation, seconds / 4)
    return {
        "tasks": done,
        "tasks_per_second": round(done / elapsed, 1),
        "cpu_us_per_task": round(cpu / done * 1e6, 1),
        "cpu_us_per_task_without_driver": round((looked_cpu - driver.seconds) / max(looked_at, 1) * 1e6, 1),
    }


def _repeat(operation: Callable[[], int], seconds: float) -> tuple[int, float, float]:
    done, begun, cpu = 0, monotonic(), thread_time()
    while monotonic() - begun < seconds:
        count = operation()
        if not count:
            break
        done += count
    return done, monotonic() - begun, thread_time() - cpu
