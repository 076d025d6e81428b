"""A real `bgtasksd` for tests: started in its own directories on the test database, watched, and always cleaned up."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bgtasksd.children.linux import become_subreaper
from bgtasksd.children.process import children, parent, run_state, start_ticks
from bgtasksd.connection import Connection, NoAnswer, Refused
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
MARK = "BGTASKS_TEST_DAEMON"
QUICK: dict[str, Any] = {
    "LEASE": 4,
    "KILL_GRACE": 1,
    "ORPHAN_TIMEOUT": 2,
    "SLEEP": 0.2,
    "BACKOFF": 0,
    "DRAIN_TIMEOUT": 10,
}
"""Short times for everything that a test would otherwise wait for."""
SLOW_MACHINE = 60.0
"""Seconds for what is quick on a quiet machine, where no bound is promised."""


class Daemon:
    """One daemon. Every process of it carries a mark in its environment, so that none is left behind."""

    def __init__(self, directory: Path, database_name: str, *, workers: int = 2, **bgtasks: Any) -> None:
        self.directory = directory
        self.runtime = directory / "run"
        self.log_file = directory / "log"
        self.ledger_file = directory / "ledger"
        self.workers = workers
        self.arguments: list[str] = []
        self.mark = uuid.uuid4().hex
        self.process: subprocess.Popen[bytes] | None = None
        self.baseline = 0
        self.variables: dict[str, str] = {}
        self.wrapper: Sequence[str] = ()
        directory.mkdir(exist_ok=True)
        self.runtime.mkdir(exist_ok=True, mode=0o700)
        self.write_settings(database_name, {**QUICK, **bgtasks})

    # starting and ending

    def write_settings(self, database_name: str, bgtasks: dict[str, Any]) -> None:
        """Write the settings module of the daemon's project."""
        lines = [
            "from tests.settings import *",
            f"DATABASES['default']['NAME'] = {database_name!r}",
            "INSTALLED_APPS = [*INSTALLED_APPS, 'tests.lifecycle']",
            f"BGTASKS = {bgtasks!r}",
        ]
        self.settings_file.write_text("\n".join(lines) + "\n")

    @property
    def settings_file(self) -> Path:
        """The settings module of the daemon's project."""
        return self.directory / "project_under_test.py"

    def add_setting(self, line: str) -> None:
        """Write one more line into the settings."""
        with self.settings_file.open("a") as settings:
            settings.write(line + "\n")

    def add_app(self, name: str, files: dict[str, str]) -> None:
        """Write an app into the daemon's project and install it there."""
        for path, text in {"__init__.py": "", **files}.items():
            file = self.directory / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.add_setting(f"INSTALLED_APPS = [*INSTALLED_APPS, {name!r}]")

    def environment(self) -> dict[str, str]:
        """Return the environment of the daemon and its clients."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BGTASKSD_")}
        return {
            **kept,
            "DJANGO_SETTINGS_MODULE": "project_under_test",
            "PYTHONPATH": f"{self.directory}:{ROOT}",
            "BGTASKS_TEST_LEDGER": str(self.ledger_file),
            "PYTHONDONTWRITEBYTECODE": "1",
            MARK: self.mark,
            **self.variables,
        }

    def start(self, *arguments: str, is_awaited: bool = True) -> Daemon:
        """Start it; return when every worker is up, or at once."""
        Daemon.not_adopted.update(children())
        become_subreaper()  # so that nothing of a killed daemon escapes us
        command = [
            *self.wrapper,
            sys.executable,
            "-W",
            "always",
            "-m",
            "bgtasksd",
            "start",
            "--workers",
            str(self.workers),
        ]
        command += ["--runtime-dir", str(self.runtime), *self.arguments, *arguments]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment(), cwd=self.directory, stderr=log, stdout=log, stdin=subprocess.DEVNULL
            )
        Daemon.not_adopted.add(self.process.pid)
        if is_awaited:
            self.wait_until_ready()
            self.baseline = self.descriptor_count()
        return self

    def start_in_background(self, *arguments: str) -> None:
        """Start it as people do by hand; return when every worker is up. Nobody's child, it is found by its mark."""
        Daemon.not_adopted.update(children())
        become_subreaper()
        workers = ("--workers", str(self.workers))
        started = self.command("start", "--daemon", *workers, *arguments)
        assert started.returncode == 0, started.stderr

    def wait_until_ready(self, within: float = SLOW_MACHINE) -> None:
        """Wait until every worker is up, and the database has been reached."""
        try:
            wait_until(lambda: self.is_over or self.is_ready, within, "ready")
        except AssertionError as error:
            raise AssertionError(f"{error}; log:\n{self.log}") from None
        assert not self.is_over, self.log

    @property
    def is_ready(self) -> bool:
        status = self.try_status()
        return bool(
            status and status["state"] != "starting" and self.ready_workers(status) == self.workers
            and status["database"]["reachable"]
        )  # fmt: skip

    @property
    def is_over(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def end(self, number: signal.Signals = signal.SIGTERM, within: float = SLOW_MACHINE) -> int:
        """Send a signal and wait for the end; return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait_for_end(within)

    def wait_for_end(self, within: float = SLOW_MACHINE) -> int:
        """Wait until the daemon has ended; return its exit code."""
        assert self.process is not None
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {within} s; log:\n{self.log}") from None

    def close(self) -> None:
        """End whatever is left, by pid; only processes that carry our mark."""
        if self.process is not None and not self.is_over:
            self.process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        self.kill_all()
        if self.process is not None:
            self.process.wait(5)
        wait_until(self.is_swept, SLOW_MACHINE)

    def kill_all(self) -> None:
        """Kill every process of this daemon."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def is_swept(self) -> bool:
        """Reap what was left to us; tell whether nothing is left."""
        adopted = [pid for pid in children() if pid not in self.not_adopted]
        for pid in adopted:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return not adopted and not self.processes()

    not_adopted: ClassVar[set[int]] = set()
    """Children of the test process that somebody here waits for."""

    def processes(self) -> list[int]:
        """Return the pids of every living process of this daemon, found by the mark in its environment."""
        return processes_with(MARK, self.mark)

    # asking

    def status(self) -> dict[str, Any]:
        """Return what `status --json` would say."""
        with Connection(self.runtime) as connection:
            return connection.ask("status")

    def try_status(self) -> dict[str, Any] | None:
        """Return the same, or None when nobody answers."""
        with contextlib.suppress(OSError, NoAnswer, Refused):
            return self.status()
        return None

    def command(self, *arguments: str, wrapper: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a client command on this daemon."""
        command = [*wrapper, sys.executable, "-m", "bgtasksd", *arguments, "--runtime-dir", str(self.runtime)]
        return subprocess.run(
            command, env=self.environment(), cwd=self.directory, capture_output=True, text=True, timeout=60, check=False
        )

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python code in this daemon's project, as a web process of its host would."""
        set_up = f"import django; django.setup(); {code}"
        return subprocess.run(
            [sys.executable, "-c", set_up],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ready_workers(self, status: dict[str, Any] | None = None) -> int:
        """Return how many workers are up."""
        status = status or self.status()
        return sum(worker["state"] in ("idle", "busy", "finishing") for worker in status["workers"])

    @property
    def supervisor_pid(self) -> int:
        """The pid of the supervisor, as it says itself."""
        pid: int = self.status()["pid"]
        return pid

    def worker_pids(self) -> list[int]:
        """Return the pids of the workers, by slot."""
        return [worker["pid"] for worker in self.status()["workers"] if worker["pid"]]

    def worker(self, slot: int) -> dict[str, Any]:
        """Return what `status` says of one slot."""
        return next(each for each in self.status()["workers"] if each["slot"] == slot)

    def busy_worker(self, task: str, within: float = SLOW_MACHINE) -> dict[str, Any]:
        """Wait until a worker is well inside a task of this name; return what `status` says of it.

        The record names a task before its body begins: what is to hit the body has to wait a little longer.
        """

        def found() -> dict[str, Any] | None:
            running = [each for each in self.status()["workers"] if (each["task"] or "").endswith("." + task)]
            running = [each for each in running if each["running_for_s"] > 0.2]
            return running[0] if running else None

        return wait_until(found, within, f"a worker with {task}")

    def end_worker(self, slot: int) -> None:
        """Kill the worker of a slot and wait until that is noticed."""
        pid = self.worker(slot)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.worker(slot)["pid"] != pid, SLOW_MACHINE)

    @property
    def log(self) -> str:
        """Everything it has said."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_lines(self, pattern: str) -> list[str]:
        """Return the lines of the log in which the pattern occurs."""
        return [line for line in self.log.splitlines() if re.search(pattern, line)]

    def ledger(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return what the tasks noted, outside of the queue's own tables."""
        lines = self.ledger_file.read_text().splitlines() if self.ledger_file.exists() else []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if event in (None, entry["event"])]

    def descriptor_count(self) -> int:
        """Return how many descriptors the supervisor holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    # what must hold after every fault

    def assert_each_ran_once(self, count: int) -> None:
        """Check that the tasks with the numbers from 0 ran, each once, and that all is written down."""
        from bgtasks.models import CompletedTask  # the soak makes daemons before Django is set up

        wait_until(lambda: CompletedTask.objects.count() == count, SLOW_MACHINE)
        assert sorted(entry["number"] for entry in self.ledger("ran")) == list(range(count))
        assert set(CompletedTask.objects.values_list("attempts", flat=True)) == {1}

    def assert_converged(self, within: float = 10.0) -> None:
        """Check the invariants I1 to I5: the same supervisor, every worker up, nothing and nobody left over."""
        assert not self.is_over, self.log
        wait_until(lambda: self.is_ready, max(within, SLOW_MACHINE), f"{self.workers} workers ready; log:\n{self.log}")
        assert len(list(Path(f"/proc/{self.pid}/task").iterdir())) == 1
        wait_until(self._has_only_known_children, SLOW_MACHINE, "no zombie and no unknown child")
        wait_until(
            lambda: self.descriptor_count() <= self.baseline, SLOW_MACHINE, f"at most {self.baseline} descriptors"
        )
        wait_until(self._is_whole, SLOW_MACHINE, f"workers that are children of {self.pid}; log:\n{self.log}")
        self._assert_exit_code_is_true()

    def _has_only_known_children(self) -> bool:
        status = self.status()
        known = {
            *(worker["pid"] for worker in status["workers"]),
            status["zygote"]["pid"],
            status["maintenance"]["pid"],
        }
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        actual = {int(pid) for pid in text.split()}
        return actual == known and all(run_state(pid) not in ("Z", "") for pid in actual)

    def _is_whole(self) -> bool:
        """Tell whether status and `/proc` agree that every worker is up; a death may have been caused only just now."""
        pids = [worker["pid"] for worker in self.status()["workers"]]
        return all(pid is not None and parent(pid) == self.pid and run_state(pid) != "Z" for pid in pids)

    def _assert_exit_code_is_true(self) -> None:
        asked = self.command("status", "--json")
        seen = json.loads(asked.stdout)
        errors = [problem for problem in seen["problems"] if problem["severity"] == "error"]
        assert asked.returncode == (1 if errors else 0), asked.stdout


@contextlib.contextmanager
def a_daemon(directory: Path, database_name: str, **options: Any) -> Iterator[Callable[..., Daemon]]:
    """Yield a function that makes daemons, and end them all afterwards."""
    made: list[Daemon] = []

    def make(name: str = "one", **more: Any) -> Daemon:
        daemon = Daemon(directory / name, database_name, **{**options, **more})
        made.append(daemon)
        return daemon

    try:
        yield make
    finally:
        for daemon in made:
            daemon.close()


def processes_with(variable: str, value: str) -> list[int]:
    """Return the pids of the living processes that have this in their environment."""
    wanted = f"{variable}={value}".encode()

    def has_it(entry: Path) -> bool:
        try:
            return wanted in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and has_it(entry)]


def is_alive(pid: int, ticks: int | None) -> bool:
    """Tell whether the very process is still there; a zombie is not."""
    return start_ticks(pid) == ticks and run_state(pid) not in ("Z", "X", "")
