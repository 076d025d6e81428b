"""The reason of a worker's end stands in the log, in `status` and with the task's attempt, wherever it had one."""

from __future__ import annotations

import os
import signal

import pytest

from bgtasks.models import CompletedTask, TaskAttempt
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_the_reason_of_each_end_with_a_task_stands_in_log_status_and_attempt(make_daemon):
    daemon = make_daemon(workers=1, MAX_RUN_TIME=1).start()
    for task, label, reason in (
        (tasks.hang_stubbornly, "time_limit", "killed: it ran into its time limit"),
        (tasks.segfault, "signal", "SIGSEGV"),
        (tasks.exit_at_once, "exit_code", "exit code 0: the worker exited during the task"),
    ):
        row = task.using(max_attempts=1).enqueue()
        over = wait_until(lambda: CompletedTask.objects.filter(pk=row.pk).first(), SLOW_MACHINE)  # noqa: B023
        assert (over.attempts, over.crashes) == (1, 1)
        attempt = TaskAttempt.objects.get(task_id=row.pk)
        assert attempt.crashed
        assert reason in attempt.error
        wait_until(lambda: daemon.is_ready, SLOW_MACHINE)
        assert daemon.worker(1)["last_exit"] == label
        assert len(daemon.log_lines(rf"w1 .*died: {reason}.*task {row.pk} \S+ ran")) == 1
    row = tasks.nap.using(max_attempts=1).enqueue(60)
    os.kill(daemon.busy_worker("nap")["pid"], signal.SIGKILL)
    over = wait_until(lambda: CompletedTask.objects.filter(pk=row.pk).first(), SLOW_MACHINE)
    assert "SIGKILL: killed from outside" in TaskAttempt.objects.get(task_id=row.pk).error
    assert len(daemon.log_lines(rf"died: SIGKILL: killed from outside; task {row.pk} ")) == 1
    daemon.assert_converged()


def test_the_reason_of_each_end_without_a_task_stands_in_log_and_status(make_daemon):
    daemon = make_daemon(workers=1).start("--max-tasks", "2")
    for number in range(2):
        tasks.quick(number)
    wait_until(lambda: daemon.worker(1)["last_exit"] == "max_tasks", SLOW_MACHINE)
    tasks.spoil_line(1, "nothing")
    wait_until(lambda: daemon.worker(1)["last_exit"] == "damaged", SLOW_MACHINE)
    assert [line.rpartition(" ")[2] for line in daemon.log_lines("w1 .*left: ")][:1] == ["max_tasks"]
    assert len(daemon.log_lines("w1 .* (left|died): .*damaged")) == 1
    assert not TaskAttempt.objects.exists()
    daemon.assert_converged()
