"""The tasks that are measured: one does nothing, one takes its time, one notes what an outsider counts."""

from __future__ import annotations

import asyncio
import os
import time

from bgtasks import background

LEDGER = "BGTASKS_BENCHMARK_LEDGER"
"""Names the folder in which each worker keeps a file of the tasks it has begun."""
_ledgers: dict[int, int] = {}
"""Descriptor by pid: a worker is forked, and writes a file of its own."""


@background
def nothing(text: str = "", number: int = 0, *, flag: bool = False) -> None:
    """Do nothing: what is left is the queue."""


@background
def nap(seconds: float) -> None:
    """Take that long, without CPU."""
    time.sleep(seconds)


@background
async def sleep(seconds: float) -> None:
    """Wait that long as a coroutine does: others go on."""
    await asyncio.sleep(seconds)


@background(max_run_time=1, max_attempts=1)
async def sleep_too_long() -> None:
    """Run into the time limit."""
    await asyncio.sleep(3600)


@background
def noted(number: int) -> None:
    """Leave the number and the wall time: one short line, one system call, outside of every database."""
    line = f"{number} {time.clock_gettime(time.CLOCK_REALTIME):.6f}\n"
    os.write(_ledger(), line.encode())


def _ledger() -> int:
    pid = os.getpid()
    if pid not in _ledgers:
        path = f"{os.environ[LEDGER]}/{pid}-{time.monotonic_ns()}"
        _ledgers[pid] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    return _ledgers[pid]
