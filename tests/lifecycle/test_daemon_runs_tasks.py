"""The main job: a daemon starts, runs what is enqueued, says how it is, and stops."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask, Task
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_a_daemon_runs_tasks_reports_them_and_stops(make_daemon):
    daemon = make_daemon(workers=2).start()
    for number in range(20):
        tasks.quick(number)
    wait_until(lambda: CompletedTask.objects.count() == 20, within=20)
    assert sorted(entry["number"] for entry in daemon.ledger("ran")) == list(range(20))
    wait_until(lambda: daemon.status()["totals"]["done"] == 20)
    daemon.assert_converged()

    asked = daemon.command("status", "--json")
    assert asked.returncode == 0
    assert json.loads(asked.stdout)["state"] == "running"

    stopped = daemon.command("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert daemon.wait_for_end() == 0
    assert daemon.processes() == []
    assert not Task.objects.exists()


def test_a_task_running_at_sigterm_is_finished_and_recorded(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.nap(1.5)
    daemon.busy_worker("nap")
    assert daemon.end(signal.SIGTERM) == 0
    assert [entry["event"] for entry in daemon.ledger()] == ["started", "ended"]
    assert CompletedTask.objects.get().attempts == 1


def test_a_worker_holds_nothing_of_the_supervisors_or_of_other_workers(make_daemon):
    daemon = make_daemon(workers=2).start()
    held = [channels(pid) for pid in (daemon.pid, *daemon.worker_pids())]
    for one in range(3):
        for other in range(one):
            assert held[one] & held[other] == set()
    for pid in daemon.worker_pids():
        assert not [name for name in descriptors(pid) if ".lock" in name or "pidfd" in name]
        # one of its own, psycopg's for the length of a wait; the supervisor's would stay
        wait_until(lambda pid=pid: len([name for name in descriptors(pid) if "eventpoll" in name]) == 1)
        # a mapping of its own page, and of no other
        assert Path(f"/proc/{pid}/maps").read_text().count("bgtasksd-scoreboard") == 1


def channels(pid: int) -> set[str]:
    """Return the sockets and pipes of a process, by inode."""
    return {name for name in descriptors(pid) if name.startswith(("socket:", "pipe:"))}


def descriptors(pid: int) -> set[str]:
    """Return what a process holds open besides its standard streams."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile: a worker comes and goes with its database
            found |= {str(entry.readlink())} if int(entry.name) > 2 else set()
    return found
