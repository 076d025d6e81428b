"""F30, F31, F38, F52: what a daemon costs over many tasks and recycles, and what is left when all is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from bgtasks.models import CompletedTask
from bgtasksd.children.process import unshared_bytes
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

TICK = 1 / os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def test_f30_a_long_task_keeps_no_short_one_waiting_and_the_supervisor_hardly_works(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.nap(5.0)
    daemon.busy_worker("nap")
    began, before = time.monotonic(), processor_seconds(daemon.pid)
    tasks.quick.enqueue_many([((number,), {}) for number in range(1000)])
    wait_until(lambda: len(daemon.ledger("ran")) == 1000, SLOW_MACHINE)
    assert not daemon.ledger("ended"), "the short tasks were done beside the long one"
    wait_until(lambda: CompletedTask.objects.count() == 1001, SLOW_MACHINE)
    assert sorted(entry["number"] for entry in daemon.ledger("ran")) == list(range(1000))
    share = (processor_seconds(daemon.pid) - before) / (time.monotonic() - began)
    assert share < 0.1  # two hundredths are promised, of a machine that is not shared with other tests
    daemon.assert_converged()


def test_f31_a_task_that_unfreezes_the_collector_costs_memory_and_nothing_else(make_daemon):
    daemon = make_daemon(workers=1).start()
    worker = daemon.worker_pids()
    before = unshared_bytes(worker[0])
    tasks.thaw()
    for number in range(20):
        tasks.quick(number)
    wait_until(lambda: CompletedTask.objects.count() == 21, SLOW_MACHINE)
    assert unshared_bytes(worker[0]) > before
    assert daemon.worker_pids() == worker
    assert not daemon.log_lines("error|warning")
    daemon.assert_converged()


@pytest.mark.parametrize("recycles", [60, pytest.param(10_000, marks=pytest.mark.soak)])
def test_f38_recycles_leave_nothing_in_the_supervisor(make_daemon, recycles):
    daemon = make_daemon(workers=8, SLEEP=1)
    daemon.start("--max-tasks", "1")

    def recycle(count: int) -> int:
        before = daemon.status()["totals"]["recycled"]["tasks"]
        tasks.quick.enqueue_many([((number,), {}) for number in range(count)])
        wait_until(lambda: daemon.status()["totals"]["recycled"]["tasks"] >= before + count, max(count, SLOW_MACHINE))
        wait_until(lambda: daemon.is_ready, SLOW_MACHINE)
        return unshared_bytes(daemon.pid)

    warm = recycle(recycles // 3)
    after = recycle(recycles - recycles // 3)
    assert after - warm < 2**20
    wait_until(lambda: CompletedTask.objects.count() == recycles, SLOW_MACHINE)
    assert len(daemon.ledger("ran")) == recycles
    assert not daemon.log_lines("next in")
    daemon.assert_converged()


def test_f52_without_supervisor_and_zygote_the_kernel_tells_the_workers_to_finish(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.nap(2.0)
    daemon.busy_worker("nap")
    for pid in (daemon.status()["zygote"]["pid"], daemon.pid):
        os.kill(pid, signal.SIGKILL)
    tasks.quick(1)  # nobody takes it
    wait_until(daemon.is_swept, SLOW_MACHINE)
    assert len(daemon.ledger("ended")) == 1
    assert not daemon.ledger("ran")
    assert CompletedTask.objects.get().attempts == 1
