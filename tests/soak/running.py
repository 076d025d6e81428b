"""A running soak: daemon, database and enqueuing process, and what has been found broken so far."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bgtasksd.children.process import parent
from bgtasksd.cli.parser import build
from tests.daemon import Daemon
from tests.invariants.processes import broken_in_notices, broken_in_status, broken_in_supervisor, deaths_in
from tests.notices import Notices
from tests.servers import Server
from tests.soak.enqueuing import read
from tests.soak.memory import Memory
from tests.waiting import wait_until

LEASE, WATCHDOG = 6, 10
SETTINGS = {"LEASE": LEASE, "MAX_RUN_TIME": 5, "MAX_AGE": 60, "MAX_MEMORY": "150M", "ORPHAN_TIMEOUT": 3, "BACKOFF": 0.2}
OWN_NUMBERS = 10_000_000
"""The numbers of the requests that faults make begin here."""
GROWTHS = 2
"""How often the scoreboard may double when workers are added; each time costs a descriptor."""
PATIENCE = 120.0


class Soak:
    """What faults act on."""

    def __init__(self, directory: Path, server: Server, chance: random.Random, workers: int) -> None:
        self.directory = directory
        self.server = server
        self.chance = chance
        self.numbers = itertools.count(OWN_NUMBERS)
        self.own: dict[int, int] = {}
        self.broken: list[str] = []
        self.stood_still: list[float] = []
        """When the supervisor was stopped by a signal or starved: its watchdog may be late."""
        self.is_late = False
        """The second half has begun: the supervisor must live, for its memory is measured."""
        self.daemon = Daemon(directory / "one", server.name, workers=workers, **SETTINGS)
        self.notices = Notices(directory / "notify")
        self.memory = Memory()
        self.daemon.variables.update(NOTIFY_SOCKET=str(self.notices.path), WATCHDOG_USEC=str(WATCHDOG * 1_000_000))
        self.daemon.add_setting("INSTALLED_APPS = [*INSTALLED_APPS, 'tests.soak']")
        self.enqueuing: subprocess.Popen[bytes] | None = None

    # the daemon

    def start(self, *, was_killed: bool = False) -> None:
        """Start the daemon, also where one was before."""
        self.look_at_notices(was_killed=was_killed)
        self.daemon.start(is_awaited=False)
        self.daemon.wait_until_ready(PATIENCE)
        self.daemon.baseline = self.daemon.baseline or self.daemon.descriptor_count() + GROWTHS
        self.supervisor = self.daemon.pid

    def look(self) -> None:
        """Check what must hold at any moment."""
        self.broken += broken_in_supervisor(self.daemon, self.supervisor)
        seen = self.daemon.try_status()
        if seen is None:
            self.broken.append("I5: no answer to status")
        else:
            self.broken += broken_in_status(self.daemon, seen)
            (self.directory / "status.json").write_text(json.dumps(seen, indent=1))
            self.memory.sample(seen)

    def look_at_notices(self, *, was_killed: bool = False) -> None:
        """Check what the daemon until now has told systemd."""
        self.broken += broken_in_notices(self.notices.taken(), WATCHDOG, self.stood_still, was_killed=was_killed)

    def workers(self) -> list[int]:
        """Return the pids of the workers, those children of the supervisor that it calls so."""
        return [pid for pid in self.daemon.worker_pids() if parent(pid) == self.daemon.pid]

    def signal(self, pid: int | None, number: int) -> bool:
        """Send a signal to a process of this daemon; say whether it was there."""
        if pid is None or (pid != self.daemon.pid and parent(pid) != self.daemon.pid):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    @contextlib.contextmanager
    def stopped(self, pid: int | None) -> Iterator[None]:
        """Have a process stand still meanwhile."""
        if pid == self.daemon.pid:
            self.stood_still.append(time.monotonic())
        self.signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(pid, signal.SIGCONT)

    def expect_one_line(self, pids: list[int], offset: int) -> None:
        """Check I7 for workers that were killed, in the log from this offset on."""

        def told() -> bool:
            log = self.log_since(offset)
            return all(deaths_in(log, pid) for pid in pids)

        wait_until(told, PATIENCE, f"a line for each of {pids}")
        log = self.log_since(offset)
        self.broken += [f"I7: pid {pid}: {lines}" for pid in pids if len(lines := deaths_in(log, pid)) != 1]

    def log_size(self) -> int:
        return self.daemon.log_file.stat().st_size

    def log_since(self, offset: int) -> str:
        with self.daemon.log_file.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    @property
    def verbs(self) -> set[str]:
        """What can be said to bgtasksd."""
        return set(build()[1])

    def command(self, *arguments: str, is_sure: bool = True) -> int:
        """Say something to the daemon as an operator does; a refusal is a failure if it `is_sure` to be obeyed."""
        ran = self.daemon.command(*arguments)
        if is_sure and ran.returncode:
            self.broken.append(f"bgtasksd {' '.join(arguments)}: {ran.returncode}: {ran.stdout}{ran.stderr}")
        return ran.returncode

    # the requests

    def enqueue(self, task: Any) -> None:
        """Have a task run that misbehaves."""
        from django.db import Error, connections  # after django.setup()

        number = next(self.numbers)
        with contextlib.suppress(Error):
            self.own[number] = task.enqueue(number).pk
            return
        connections.close_all()

    def begin_enqueuing(self, rate: float) -> None:
        """Start the process that enqueues the mix."""
        command = [sys.executable, "-m", "tests.soak.enqueuing", str(rate), str(self.chance.randrange(1 << 30))]
        with (self.directory / "enqueuing.log").open("ab") as log:
            self.enqueuing = subprocess.Popen(
                [*command, str(self.directory / "asked")],
                env={**self.daemon.environment(), "BGTASKS_TEST_DAEMON": "enqueuing"},
                stdout=log, stderr=log, cwd=self.daemon.directory,
            )  # fmt: skip
        Daemon.not_adopted.add(self.enqueuing.pid)

    def end_enqueuing(self) -> None:
        """End it."""
        if self.enqueuing is not None:
            self.enqueuing.terminate()
            assert self.enqueuing.wait(PATIENCE) == 0, (self.directory / "enqueuing.log").read_text()
            self.enqueuing = None

    def stored(self) -> tuple[set[int], dict[int, int]]:
        """Return the numbers that were asked for, and the ids of those known to be stored."""
        asked, stored = read(self.directory / "asked")
        return asked, {**stored, **self.own}

    def close(self) -> None:
        """End every process."""
        if self.enqueuing is not None:
            self.enqueuing.kill()
            self.enqueuing.wait()
        if self.server.process is not None:
            Daemon.not_adopted.add(self.server.process.pid)
        self.daemon.close()
        self.notices.close()
