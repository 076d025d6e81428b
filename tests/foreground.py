"""A real `process_tasks` for tests: started on the test database with its own settings, watched, always ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bgtasksd.children.process import run_state
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
SLOW_MACHINE = 30.0
"""Seconds for what is quick on a quiet machine, where no bound is promised."""


class Foreground:
    """One `process_tasks`, with everything it wrote."""

    def __init__(self, directory: Path, database_name: str, lines: tuple[str, ...] = (), **bgtasks: Any) -> None:
        self.directory = directory
        self.ledger_file = directory / "ledger"
        self.process: subprocess.Popen[bytes] | None = None
        self.log_file = directory / "log"
        directory.mkdir(exist_ok=True)
        settings = [
            "from tests.settings import *",
            f"DATABASES['default']['NAME'] = {database_name!r}",
            "INSTALLED_APPS = [*INSTALLED_APPS, 'tests.lifecycle']",
            f"BGTASKS = {bgtasks!r}",
            *lines,
        ]
        (directory / "foreground_settings.py").write_text("\n".join(settings) + "\n")

    def start(self, *options: str, is_awaited: bool = True, sleep: float = 0.2) -> Foreground:
        """Start it; return when it is about to look at the queue, or at once."""
        command = [sys.executable, "-W", "always", "-m", "django", "process_tasks", "--sleep", str(sleep), *options]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=self.environment(),
                cwd=self.directory,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                process_group=0,  # so that none of it outlives the test
            )
        if is_awaited:
            self.wait_until(lambda: "found:" in self.log or self.is_over, what="the start")
            assert not self.is_over, self.log
        return self

    def environment(self) -> dict[str, str]:
        """Return the environment in which its settings are found."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "foreground_settings",
            "PYTHONPATH": f"{self.directory}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "BGTASKS_TEST_LEDGER": str(self.ledger_file),
            "BGTASKSD_RUNTIME_DIR": str(self.directory / "run"),
        }

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_over(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait_until_asleep(self) -> None:
        """Wait until a task's long sleep has begun: a signal in the instant before is acted on when that is over."""
        self.wait_until(lambda: run_state(self.pid) == "S", what="asleep")

    def ended(self, within: float = SLOW_MACHINE) -> int:
        """Wait until it is over; return its exit code, negative for a signal."""
        self.wait_until(lambda: self.is_over, within, "the end")
        assert self.process is not None
        return self.process.returncode

    def wait_until(self, condition: Callable[[], object], within: float = SLOW_MACHINE, what: str = "") -> None:
        """Wait for a condition; a failure shows the log as it is then."""
        try:
            wait_until(condition, within, what)
        except AssertionError as error:
            code = None if self.process is None else self.process.poll()
            raise AssertionError(f"{error}; exit code {code}; log:\n{self.log}") from None

    def ledger(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return what tasks wrote down."""
        if not self.ledger_file.exists():
            return []
        notes = [json.loads(line) for line in self.ledger_file.read_text().splitlines()]
        return [note for note in notes if event in (None, note["event"])]

    def wait_for(self, event: str, times: int = 1, within: float = SLOW_MACHINE) -> dict[str, Any]:
        """Wait until tasks have written an event down so often; return the last of them."""
        self.wait_until(lambda: len(self.ledger(event)) >= times, within, f"{event} × {times}")
        return self.ledger(event)[times - 1]


@contextlib.contextmanager
def foregrounds(directory: Path, database_name: str) -> Iterator[Callable[..., Foreground]]:
    """Give a function that makes them; none outlives the test."""
    made: list[Foreground] = []

    def make(*lines: str, **bgtasks: Any) -> Foreground:
        made.append(Foreground(directory / f"foreground{len(made)}", database_name, lines, **bgtasks))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            if one.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()
