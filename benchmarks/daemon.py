"""A real `bgtasksd` on the measured project, with the product's own defaults, in a directory of its own."""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.database import is_drained
from benchmarks.tasks import LEDGER
from tests.daemon import Daemon
from tests.waiting import wait_until

FOUND = "BGTASKSD_RUNTIME_DIR"
"""Where whoever enqueues looks for the sockets of daemons."""
LOOK_EVERY = 0.2
"""Seconds between two looks whether the queue is empty: each is a query more."""


class MeasuredDaemon(Daemon):
    """As the tests' daemon, but none of the tests' short times."""

    def __init__(self, directory: Path, database_name: str, workers: int, **bgtasks: Any) -> None:
        self.given = bgtasks
        super().__init__(directory, database_name, workers=workers)
        self.ledgers = directory / "ledgers"
        self.ledgers.mkdir()
        self.variables[LEDGER] = str(self.ledgers)

    def write_settings(self, database_name: str, bgtasks: dict[str, Any]) -> None:
        """Write the settings module; of `bgtasks` only what the scenario asked for counts."""
        lines = [
            "from benchmarks.settings import *",
            f"DATABASES['default']['NAME'] = {database_name!r}",
            f"BGTASKS = {self.given!r}",
        ]
        (self.directory / "project_under_test.py").write_text("\n".join(lines) + "\n")

    def wait_until_ready(self, within: float = 120.0) -> None:
        """Wait until every worker is up; a benchmark may come after one that still keeps the disk busy."""
        super().wait_until_ready(within)

    def family(self) -> list[int]:
        """Return the pids of the supervisor and of every process under it."""
        status = self.status()
        others = [status["zygote"]["pid"], status["maintenance"]["pid"], *(each["pid"] for each in status["workers"])]
        return [self.pid, *(pid for pid in others if pid)]

    def begun(self) -> dict[int, list[float]]:
        """Return the wall times at which the bodies of the noted tasks have begun, in order, by their numbers."""
        times: dict[int, list[float]] = defaultdict(list)
        for path in self.ledgers.iterdir():
            for line in path.read_text().splitlines():
                number, at = line.split()
                times[int(number)].append(float(at))
        return {number: sorted(found) for number, found in times.items()}


@contextmanager
def a_daemon(workers: int = 4, **bgtasks: Any) -> Iterator[MeasuredDaemon]:
    """Yield a daemon that is not started yet, with these keys of `BGTASKS`; end it and remove its files afterwards."""
    from django.db import connection

    with tempfile.TemporaryDirectory() as folder:
        daemon = MeasuredDaemon(Path(folder) / "daemon", connection.settings_dict["NAME"], workers, **bgtasks)
        try:
            with heard_in(daemon.runtime):
                yield daemon
        finally:
            daemon.close()


@contextmanager
def heard_in(place: Path) -> Iterator[None]:
    """Let this process look for wake sockets there, and nowhere else."""
    before = os.environ.get(FOUND)
    os.environ[FOUND] = str(place)
    try:
        yield
    finally:
        os.environ.pop(FOUND) if before is None else os.environ.update({FOUND: before})


def wall_time() -> float:
    """Return the time that the noted tasks and, on this machine, the database go by."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def wait_until_idle(daemon: MeasuredDaemon) -> None:
    """Wait until every worker is up and has nothing to do."""
    daemon.wait_until_ready()
    wait_until(lambda: all(each["state"] == "idle" for each in daemon.status()["workers"]), 60, "every worker idle")


def drain(daemon: MeasuredDaemon, within: float) -> None:
    """Wait until nothing is left to do, looking seldom. Raises AssertionError if the daemon ends or time runs out."""
    deadline = time.monotonic() + within
    while not is_drained():
        assert not daemon.is_over, f"the daemon has ended:\n{daemon.log[-2000:]}"
        assert time.monotonic() < deadline, f"not drained within {within} s:\n{daemon.log[-2000:]}"
        time.sleep(LOOK_EVERY)
