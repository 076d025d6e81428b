"""F02, F04, F06, F07, F09: workers that die, and tasks that try to take more with them."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasks.models import CompletedTask, Task, TaskAttempt
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_f02_the_task_of_a_killed_worker_is_claimable_within_a_second_and_runs_again(make_daemon):
    daemon = make_daemon(workers=2).start()
    for number in range(3):
        task = tasks.hang_once(number)
        wait_until(lambda number=number: number in [entry["number"] for entry in daemon.ledger("started")], within=20)
        pid = daemon.busy_worker("hang_once")["pid"]
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda task=task: TaskAttempt.objects.filter(task_id=task.pk).exists(), within=20)
        assert time.monotonic() - killed_at < 1
        completed = wait_until(lambda task=task: CompletedTask.objects.filter(pk=task.pk).first(), within=20)
        assert (completed.attempts, completed.crashes) == (2, 1)
        attempt = TaskAttempt.objects.get(task_id=task.pk)
        assert attempt.crashed
        assert "SIGKILL: killed from outside" in attempt.error
        assert len(daemon.log_lines(rf"pid {pid} died: SIGKILL: killed from outside; task {task.pk} .*hang_once")) == 1
        assert len([entry for entry in daemon.ledger("started") if entry["number"] == number]) == 2
        wait_until(lambda: daemon.is_ready, within=20)
    daemon.assert_converged()


def test_f04_f07_tasks_that_crash_their_process_fail_as_poison_after_three_crashes(make_daemon):
    daemon = make_daemon(workers=8, BACKOFF=0.1).start()
    names = ("segfault", "read_null", "abort", "abort_in_c", "overflow_stack")
    crashing = {name: getattr(tasks, name)() for name in names}
    for name, task in crashing.items():
        completed = wait_until(lambda task=task: CompletedTask.objects.filter(pk=task.pk).first(), within=60)
        assert (completed.crashes, completed.attempts) == (3, 3)
        assert "poison" in completed.last_error
        assert "SIGABRT" in completed.last_error or "SIGSEGV" in completed.last_error
        died = daemon.log_lines(rf"died: SIG(SEGV|ABRT).*task {task.pk} .*{name} ran")
        assert len(died) == 3, daemon.log
        assert daemon.log_lines(rf"tasks.py.* in {name}")  # the stack
    leaving = tasks.exit_at_once()
    attempt = wait_until(lambda: TaskAttempt.objects.filter(task_id=leaving.pk).first(), within=20)
    assert attempt.crashed
    assert "exit code 0: the worker exited during the task" in attempt.error
    Task.objects.all().delete()
    daemon.assert_converged(within=60)


def test_f06_whatever_a_task_raises_is_its_own_failure_and_no_worker_dies(make_daemon):
    daemon = make_daemon(workers=2, BACKOFF=60).start()
    pids = daemon.worker_pids()
    kinds = ["sys.exit", "SystemExit", "KeyboardInterrupt", "BaseException"]
    for kind in kinds:
        tasks.leave(kind)
    wait_until(lambda: TaskAttempt.objects.count() == 4, within=20)
    assert {row.attempts for row in Task.objects.all()} == {1}
    assert not TaskAttempt.objects.filter(crashed=True).exists()
    assert daemon.worker_pids() == pids
    Task.objects.all().delete()
    daemon.assert_converged()


def paused_daemon(make_daemon, moment):
    """Return a daemon whose only worker stops at this moment, and the file that keeps it there."""
    daemon = make_daemon(workers=1)
    pause = daemon.directory / "pause"
    pause.touch()
    daemon.variables["BGTASKS_TEST_PAUSE"] = f"{moment}:{pause}"
    return daemon.start(), pause


def killed_there(daemon, pause, moment, task):
    """Kill the worker once it has come to the moment; return what became of the task."""
    wait_until(lambda: daemon.ledger(moment), within=20)
    pid = daemon.worker_pids()[0]
    pause.unlink()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.log_lines(rf"pid {pid} died"), within=20)
    return wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), within=20)


def test_f09_a_claim_whose_worker_dies_before_its_first_record_is_given_back_at_once(make_daemon):
    daemon, pause = paused_daemon(make_daemon, "claimed")
    killed_at = time.monotonic()
    row = killed_there(daemon, pause, "claimed", tasks.quick(1))
    assert time.monotonic() - killed_at < 4  # long before the lease of four seconds would have ended
    assert (row.attempts, row.crashes) == (1, 0)
    assert len(daemon.ledger("ran")) == 1
    daemon.assert_converged()


def test_f10_a_task_whose_worker_dies_before_its_end_is_recorded_runs_again_and_is_charged(make_daemon):
    daemon, pause = paused_daemon(make_daemon, "finished")
    row = killed_there(daemon, pause, "finished", tasks.quick(1))
    assert (row.attempts, row.crashes) == (2, 1)
    assert len(daemon.ledger("ran")) == 2
    daemon.assert_converged()


def test_f10_an_atomic_task_whose_worker_dies_after_its_body_has_happened_once(make_daemon):
    daemon, pause = paused_daemon(make_daemon, "finished")
    row = killed_there(daemon, pause, "finished", tasks.quick_and_atomic(1))
    assert (row.attempts, row.crashes) == (1, 0)
    assert len(daemon.ledger("ran")) == 1
    daemon.assert_converged()
