"""F56, F62, F63: signals that reach the daemon, its group, or every process of it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasks.models import CompletedTask
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f62_control_c_in_a_terminal_lets_running_tasks_finish(make_daemon):
    """INT goes to the whole foreground group: supervisor, zygote, maintenance; workers have groups of their own."""
    daemon = make_daemon(workers=2)
    daemon.wrapper = ["setsid", "--wait"]
    daemon.start()
    tasks.nap(1.5)
    worker = daemon.busy_worker("nap")["pid"]
    supervisor = daemon.status()["pid"]
    assert os.getpgid(worker) == worker
    os.killpg(os.getpgid(supervisor), signal.SIGINT)
    assert daemon.wait_for_end() == 0
    assert len(daemon.ledger("ended")) == 1
    assert CompletedTask.objects.get().attempts == 1


def test_f63_term_to_every_process_cuts_no_task(make_daemon):
    daemon = make_daemon(workers=2).start()
    tasks.nap(1.5)
    daemon.busy_worker("nap")
    for pid in daemon.processes():
        os.kill(pid, signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    assert CompletedTask.objects.get().attempts == 1


def test_f56_a_supervisor_that_was_stopped_moves_its_deadlines_and_kills_nobody(make_daemon):
    daemon = make_daemon(workers=2, MAX_RUN_TIME=5).start()
    workers = daemon.worker_pids()
    tasks.nap(7.0)
    daemon.busy_worker("nap")
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(6.5)  # longer than a turn may be late
    daemon.process.send_signal(signal.SIGCONT)
    wait_until(lambda: daemon.log_lines("did not run for"), within=20)
    wait_until(lambda: CompletedTask.objects.count() == 1, within=20)
    assert daemon.worker_pids() == workers
    assert CompletedTask.objects.get().attempts == 1


def test_a_worker_stopped_by_a_signal_is_shown_and_still_ends_with_the_daemon(make_daemon):
    daemon = make_daemon(workers=2).start()
    pid = daemon.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: daemon.worker(1)["state"] == "stopped")
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: daemon.worker(1)["state"] == "idle")
    assert daemon.worker_pids()[0] == pid
    os.kill(pid, signal.SIGSTOP)
    assert daemon.end(signal.SIGTERM) == 0
