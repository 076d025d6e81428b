"""F13-F15, F18: tasks that do not end by themselves, in Python, in C, deaf to signals; side by side in one daemon."""

from __future__ import annotations

import signal
import time

import pytest

from bgtasks.models import CompletedTask, Task, TaskAttempt
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

LIMIT, GRACE = 3, 1


def attempt_of(task):
    return TaskAttempt.objects.filter(task_id=task.pk).first()


def test_f13_f14_f15_f18_what_does_not_end_is_interrupted_or_killed_on_time_and_disturbs_nobody(make_daemon):
    daemon = make_daemon(workers=6, MAX_RUN_TIME=LIMIT, KILL_GRACE=GRACE, BACKOFF=60).start()
    slow = tasks.match_catastrophically(LIMIT / 2)
    polite = tasks.hang()
    names = ("hang_stubbornly", "spin_in_c", "spoil_signals_and_hang")
    killed = {name: getattr(tasks, name)() for name in names}
    pids = {name: daemon.busy_worker(name)["pid"] for name in names}
    survivors = set(daemon.worker_pids()) - set(pids.values())
    wait_until(lambda: CompletedTask.objects.filter(pk=slow.pk).exists(), within=20)
    check_the_interrupted(daemon, polite, survivors)
    for name, task in killed.items():
        check_the_killed(daemon, task, name, pids[name])
    stubborn = [entry for entry in daemon.ledger("interrupted") if entry["pid"] == pids["hang_stubbornly"]]
    assert len(stubborn) == 2  # at the limit, and again after half of the grace
    assert survivors <= set(daemon.worker_pids())
    daemon.assert_converged()


def check_the_interrupted(daemon, task, survivors):
    attempt = wait_until(lambda: attempt_of(task), within=20)
    interrupted = next(entry for entry in daemon.ledger("interrupted") if entry["pid"] in survivors)
    mine = [entry for entry in daemon.ledger("started") if entry["pid"] == interrupted["pid"]]
    assert interrupted["error"] == "TaskTimeout"
    assert LIMIT - 0.5 < interrupted["at"] - mine[-1]["at"] < LIMIT + 1
    assert not attempt.crashed
    assert "TaskTimeout" in attempt.exception


def check_the_killed(daemon, task, name, pid):
    attempt = wait_until(lambda: attempt_of(task), within=20)
    assert attempt.crashed
    assert "time limit" in attempt.error
    assert Task.objects.get(pk=task.pk).crashes == 1
    deaths = daemon.log_lines(rf"pid {pid} died: killed: .*time limit.*task {task.pk} .*{name} ran")
    assert len(deaths) == 1
    ran = float(deaths[0].rpartition(" ran ")[2].split()[0])
    assert LIMIT + GRACE <= ran < LIMIT + GRACE + 1 + 1  # the second one for a machine shared with others
    if name != "spoil_signals_and_hang":  # who blocks every signal cannot be asked where it stands
        assert daemon.log_lines(rf"tasks.py.* in {name}")


def test_f18_a_task_that_spoils_the_signals_of_its_process_harms_no_task_after_it(make_daemon):
    daemon = make_daemon(workers=1, MAX_RUN_TIME=1.5, BACKOFF=60).start()
    tasks.spoil_signals()
    hung = tasks.hang()
    wait_until(lambda: attempt_of(hung), within=20)
    assert daemon.ledger("interrupted")[0]["error"] == "TaskTimeout"  # the handlers were armed again
    assert len(daemon.log_lines("changed signals")) == 1
    tasks.spoil_signals()
    wait_until(lambda: CompletedTask.objects.count() == 2, within=20)
    begun = time.monotonic()
    assert daemon.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 5
