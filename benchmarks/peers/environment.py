"""A peer's own virtual environment, its database, and its worker processes: made, used and removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from benchmarks.peers.peer import Command, Peer, Setup
from tests.daemon import processes_with

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".venv-peers"
MARK = "BGTASKS_BENCHMARK_MARK"
"""A variable of every process that is started here, by which none is left behind."""
PATIENCE = 600.0
"""Seconds for a single step."""


class Environment:
    """Where one peer is installed and runs."""

    def __init__(self, name: str, python: str | None) -> None:
        self.name = name
        self.peer: Peer = import_module(f"benchmarks.peers.{name}").PEER
        self.python = python
        self.folder = HOME / name
        self.executable = self.folder / "bin/python"
        self.mark = uuid.uuid4().hex
        self.database = f"bgtasks_peer_{name}_{os.getpid()}"
        self.versions: dict[str, str] = {}
        self.variables: dict[str, str] = {}

    def install(self) -> None:
        """Make the environment, unless it is there, and note the versions that are in it."""
        done = self.folder / "installed"
        if not done.exists():
            print(f"installing {self.peer.package}", flush=True)
            subprocess.run([self.python or newest_python(), "-m", "venv", "--clear", self.folder], check=True)
            requirements = [*self.peer.requirements, *(own_requirements() if self.name == "bgtasks" else ())]
            command = [self.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *requirements]
            subprocess.run(command, check=True)
            done.touch()
        self.versions = self.inside("version", 0)
        if self.name == "bgtasks":
            import bgtasks

            self.versions[self.peer.package] = bgtasks.__version__

    def environment(self) -> dict[str, str]:
        """Return the variables of every process in here."""
        return {
            **os.environ,
            "PGHOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PGPORT": os.environ.get("PGPORT", "5432"),
            "PGUSER": os.environ.get("PGUSER", "postgres"),
            "PGDATABASE": self.database,
            "PYTHONPATH": str(ROOT),
            "BENCHMARK_PEER": self.name,
            **({"DJANGO_SETTINGS_MODULE": "benchmarks.peers.settings"} if self.peer.settings else {}),
            MARK: self.mark,
            **self.variables,
        }

    def inside(self, what: str, number: float) -> Any:
        """Do one of the things `benchmarks.peers.inside` can do; return what it says."""
        answer = self.run(("-m", "benchmarks.peers.inside", self.name, what, str(number)))
        return json.loads(answer.splitlines()[-1])

    def run(self, command: Command) -> str:
        """Run a command to its end. Raises RuntimeError with what it said if that is a failure."""
        ended = subprocess.run(
            [self.executable, *command],
            cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)}: {ended.stderr[-2000:]}")
        return ended.stdout

    @contextmanager
    def fresh_database(self, setup: Setup) -> Iterator[None]:
        """Make an empty database with the peer's tables; drop it afterwards."""
        self.variables = setup.variables
        if self.peer.uses_postgres:
            self._administer(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')
            self._administer(f'CREATE DATABASE "{self.database}"')
        try:
            for command in self.peer.prepare:
                self.run(command)
            yield
        finally:
            if self.peer.uses_postgres:
                self._administer(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')
            else:
                self.run(self.peer.prepare[0])

    def _administer(self, statement: str) -> None:
        import psycopg

        given = {name: value for name, value in self.environment().items() if name.startswith("PG")}
        with psycopg.connect(
            host=given["PGHOST"], port=given["PGPORT"], user=given["PGUSER"], password=given.get("PGPASSWORD", ""),
            dbname="postgres", autocommit=True,
        ) as connection:  # fmt: skip
            connection.execute(statement)  # type: ignore[arg-type]

    def watched_drain(self, setup: Setup, seconds: float) -> list[tuple[float, int]]:
        """Start the workers under the eyes of a watcher that is there first; return what it has seen."""
        command = [self.executable, "-m", "benchmarks.peers.inside", self.name, "watch", str(seconds)]
        with subprocess.Popen(command, cwd=ROOT, env=self.environment(), stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            watcher.stdout.readline()  # it looks from now on
            with self._workers(setup) as log:
                looks: list[tuple[float, int]] = json.loads(watcher.stdout.read())
                if looks[-1][1] >= looks[0][1]:
                    raise RuntimeError(f"its workers did nothing: {log.read_text(errors='replace')[-2000:]}")
        return looks

    @contextmanager
    def _workers(self, setup: Setup) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
            started = [self._start(command, Path(folder), log) for command in setup.workers]
            try:
                yield Path(folder) / "log"
            finally:
                for process in started:
                    process.send_signal(signal.SIGTERM)
                self._end(started)

    def _start(self, command: Command, folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = self.environment()
        whole = [self.executable, *command]
        return subprocess.Popen(whole, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _end(self, started: list[subprocess.Popen[bytes]]) -> None:
        deadline = time.monotonic() + 10
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for pid in processes_with(MARK, self.mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in started:
            process.wait(10)


def own_requirements() -> list[str]:
    """Return what this project itself needs; its code is taken from where it lies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed: list[str] = project["dependencies"]
    return needed


def newest_python() -> str:
    """Return a Python that really runs and can make environments: names on the path may be stubs."""
    check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"
    for name in ("python3.14", "python3.13", "python3.12", sys.executable):
        found = shutil.which(name)
        if found and not subprocess.run([found, "-c", check], capture_output=True, check=False).returncode:
            return found
    raise SystemExit("several peers need Python 3.12 or newer: none was found, say --python")
