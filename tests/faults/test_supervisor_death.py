"""F47, F49, F51, F77: the death of supervisor, zygote or maintenance, one at a time."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasks.models import CompletedTask, Task
from bgtasksd.children.process import start_ticks
from tests.daemon import is_alive
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f47_f77_zygote_and_maintenance_are_replaced_while_the_workers_go_on(make_daemon):
    daemon = make_daemon(workers=2).start()
    workers = daemon.worker_pids()
    tasks.nap(3.0)
    daemon.busy_worker("nap")
    before = daemon.status()
    os.kill(before["zygote"]["pid"], signal.SIGKILL)
    os.kill(before["maintenance"]["pid"], signal.SIGKILL)
    tasks.quick(7)
    wait_until(lambda: [entry for entry in daemon.ledger("ran") if entry["number"] == 7], within=20)

    def both_are_back():
        status = daemon.status()
        return all(
            status[name]["pid"] not in (None, before[name]["pid"]) and status[name]["state"] in ("ready", "running")
            for name in ("zygote", "maintenance")
        )

    wait_until(both_are_back, within=20)
    assert daemon.worker_pids() == workers
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: workers[0] not in daemon.worker_pids(), within=20)
    wait_until(lambda: CompletedTask.objects.count() == 2 or Task.objects.filter(crashes=1).exists(), within=20)
    daemon.assert_converged()


def test_f49_f51_without_its_supervisor_no_worker_outlives_its_time(make_daemon):
    daemon = make_daemon(workers=3).start()
    stuck = tasks.spin_in_c()
    daemon.busy_worker("spin_in_c")
    tasks.nap(1.0)
    napping = daemon.busy_worker("nap")["pid"]
    idle = next(worker["pid"] for worker in daemon.status()["workers"] if worker["state"] == "idle")
    ticks = {pid: start_ticks(pid) for pid in daemon.worker_pids()}
    killed_at = time.monotonic()
    os.kill(daemon.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(idle, ticks[idle]), within=5)
    wait_until(lambda: not is_alive(napping, ticks[napping]), within=10)
    assert len(daemon.ledger("ended")) == 1  # its task was finished and not cut
    wait_until(lambda: not any(is_alive(pid, ticks[pid]) for pid in ticks), within=20)
    assert time.monotonic() - killed_at >= 1.5  # the stuck one had its orphan timeout of two seconds
    wait_until(daemon.is_swept, within=20)

    second = make_daemon(workers=3).start()  # a new one on the same directory: no stale file is in its way
    wait_until(lambda: Task.objects.get(pk=stuck.pk).crashes == 1, within=20)
    assert CompletedTask.objects.count() == 1
    second.end(signal.SIGQUIT)
