"""The daemon as a container runs it: process 1 of its own process namespace, asked by probes from outside."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask, Status
from bgtasksd.children.process import run_state
from tests.daemon import Daemon, a_daemon
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")


@pytest.fixture
def container(tmp_path, transactional_db):
    """Return a daemon that is process 1."""
    from django.db import connection

    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no process namespace can be made here: {tried.stderr.strip()}")
    with a_daemon(tmp_path, connection.settings_dict["NAME"]) as make:
        daemon = make()
        daemon.wrapper = NAMESPACE
        daemon.start(is_awaited=False)
        daemon.wait_until_ready()
        yield daemon


def outside(daemon: Daemon) -> int:
    """Return the pid that process 1 has for us: the only child of `unshare`."""
    (pid,) = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    return int(pid)


def probe(daemon: Daemon, *arguments: str) -> int:
    """Run a probe inside, as a container's runtime does."""
    inside = ["nsenter", f"--target={outside(daemon)}", "--pid", "--mount", sys.executable, "-m", "bgtasksd"]
    return subprocess.run(
        [*inside, *arguments, "--runtime-dir", str(daemon.runtime)],
        env=daemon.environment(), cwd=daemon.directory, capture_output=True, timeout=60, check=False,
    ).returncode  # fmt: skip


def test_f63_process_one_answers_probes_and_finishes_tasks_when_stopped(container) -> None:
    assert container.status()["pid"] == 1
    assert [probe(container, "healthcheck", each) for each in ("--live", "--ready")] == [0, 0]
    obstacle = container.directory / "stand-1"
    obstacle.touch()
    tasks.stand.enqueue(1)
    container.busy_worker("stand")
    for pid in container.processes():
        if pid != container.pid:  # not `unshare`, which no container has
            send(pid, signal.SIGTERM)
    wait_until(lambda: container.status()["state"] == "stopping", 20, container.log)
    obstacle.unlink()
    assert container.wait_for_end() == 0
    assert CompletedTask.objects.get().status == Status.SUCCESSFUL


def test_process_one_collects_what_tasks_leave_behind(container) -> None:
    first = outside(container)
    tasks.start_grandchildren.enqueue()
    wait_until(container.ledger, 20, container.log)
    before = container.worker_pids()
    for pid in container.processes():
        if inside(pid) in before:
            send(pid, signal.SIGKILL)
    wait_until(lambda: not {*container.worker_pids()} & {*before} and container.is_ready, 20, container.log)
    wait_until(lambda: not zombies_of(first), 20, "no zombie")
    os.kill(first, signal.SIGTERM)
    assert container.wait_for_end() == 0


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # what was short-lived may be over by now
        os.kill(pid, number)


def inside(pid: int) -> int:
    """Return the pid that one of our processes has in its own namespace; 0: it is over."""
    with contextlib.suppress(OSError):
        (line,) = re.findall(r"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(line.split()[-1])
    return 0


def zombies_of(pid: int) -> list[str]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in children if run_state(int(child)) == "Z"]
