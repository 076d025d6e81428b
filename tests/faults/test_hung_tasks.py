"""F13-F15, F18: tasks that do not end by themselves, in Python, in C, deaf to signals."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasks.models import CompletedTask, Task, TaskAttempt
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def attempts_of(task):
    return list(TaskAttempt.objects.filter(task_id=task.pk))


def test_f13_a_hung_task_is_interrupted_at_its_limit_and_a_stubborn_one_killed_with_its_stack_in_the_log(make_daemon):
    daemon = make_daemon(workers=2, MAX_RUN_TIME=2, BACKOFF=60).start()
    pids = daemon.worker_pids()
    task = tasks.hang()
    attempt = wait_until(lambda: attempts_of(task), within=20)[0]
    started, interrupted = daemon.ledger("started")[0]["at"], daemon.ledger("interrupted")[0]
    assert interrupted["error"] == "TaskTimeout"
    assert 1 < interrupted["at"] - started < 4
    assert not attempt.crashed
    assert "TaskTimeout" in attempt.exception
    assert daemon.worker_pids() == pids

    stubborn = tasks.hang_stubbornly()
    worker = daemon.busy_worker("hang_stubbornly")
    attempt = wait_until(lambda: attempts_of(stubborn), within=20)[0]
    assert attempt.crashed
    assert "time limit" in attempt.error
    assert len(daemon.log_lines(rf"pid {worker['pid']} died: killed: .*time limit.*task {stubborn.pk}")) == 1
    assert daemon.log_lines("in hang_stubbornly")
    assert len([entry for entry in daemon.ledger("interrupted") if entry["pid"] == worker["pid"]]) == 3 - 1 * (
        pids.index(worker["pid"]) != pids.index(interrupted["pid"])
    )
    assert Task.objects.get(pk=stubborn.pk).crashes == 1
    daemon.assert_converged()


def test_f14_f15_a_task_stuck_in_c_is_killed_on_time_and_a_slow_one_is_not_killed_early(make_daemon):
    daemon = make_daemon(workers=3, MAX_RUN_TIME=4, BACKOFF=60).start()
    slow = tasks.match_catastrophically(2.0)
    stuck = tasks.spin_in_c()
    worker = daemon.busy_worker("spin_in_c")
    wait_until(lambda: CompletedTask.objects.filter(pk=slow.pk).exists(), within=20)
    died_at = wait_until(lambda: attempts_of(stuck) and time.monotonic(), within=20)
    ran = died_at - next(entry["at"] for entry in daemon.ledger("started") if entry["pid"] == worker["pid"])
    assert 4 < ran < 4 + 1 + 1 + 3
    assert daemon.log_lines("in spin_in_c")
    assert len(daemon.log_lines(rf"pid {worker['pid']} died: killed: .*time limit")) == 1
    daemon.assert_converged()


def test_f18_a_task_that_spoils_the_signals_of_its_process_is_still_drained_limited_and_killed(make_daemon):
    daemon = make_daemon(workers=1, MAX_RUN_TIME=2, BACKOFF=60).start()
    tasks.spoil_signals()
    wait_until(lambda: CompletedTask.objects.count() == 1, within=20)
    hung = tasks.hang()
    wait_until(lambda: attempts_of(hung), within=20)
    assert daemon.ledger("interrupted")[0]["error"] == "TaskTimeout"  # the handlers were armed again
    assert len(daemon.log_lines(r"signals")) >= 1

    deaf = tasks.spoil_signals_and_hang()
    pid = daemon.busy_worker("spoil_signals_and_hang")["pid"]
    wait_until(lambda: attempts_of(deaf), within=20)
    assert len(daemon.log_lines(rf"pid {pid} died: killed: .*time limit")) == 1
    daemon.assert_converged()

    tasks.spoil_signals()
    wait_until(lambda: CompletedTask.objects.count() == 2, within=20)
    assert daemon.end(signal.SIGTERM) == 0
    assert not daemon.processes()


def test_a_worker_stopped_by_a_signal_is_shown_and_ends_nobody_else(make_daemon):
    daemon = make_daemon(workers=2).start()
    pid = daemon.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: daemon.worker(1)["state"] == "stopped")
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: daemon.worker(1)["state"] == "idle")
    assert daemon.worker_pids()[0] == pid
    os.kill(pid, signal.SIGSTOP)
    assert daemon.end(signal.SIGTERM) == 0
