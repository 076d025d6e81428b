"""Faults of a worker that nobody supervises: F06, F13, F25, F26, F83, and F24 in a real process."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt, WorkerProcess
from tests.lifecycle import tasks
from tests.project import tasks as project_tasks

pytestmark = pytest.mark.processes


def is_done(task) -> bool:
    return CompletedTask.objects.filter(id=task.id).exists()


@pytest.mark.parametrize("kind", ["sys.exit", "SystemExit", "KeyboardInterrupt", "BaseException"])
def test_f06_what_ends_other_processes_is_a_failed_attempt_here(make_foreground, kind):
    task, after = tasks.leave.enqueue(kind), tasks.quick.enqueue(1)
    process = make_foreground().start()
    process.wait_until(lambda: is_done(after))
    task.refresh_from_db()
    assert (task.status, task.attempts, task.crashes) == (Status.SCHEDULED, 1, 0)
    assert kind.replace("sys.exit", "SystemExit") in task.last_error
    assert {note["pid"] for note in process.ledger("ran")} == {process.pid}
    assert not process.is_over


def test_f13_a_hanging_task_is_interrupted_in_time_and_the_worker_lives_on(make_foreground):
    task, after = tasks.hang.using(max_run_time=2).enqueue(), tasks.quick.enqueue(1)
    process = make_foreground(KILL_GRACE=20).start()
    started = process.wait_for("started")
    interrupted = process.wait_for("interrupted")
    assert interrupted["error"] == "TaskTimeout"
    assert 2 <= interrupted["at"] - started["at"] + 0.1 < 4  # the promise: ± 1 s; the machine is allowed another
    process.wait_until(lambda: is_done(after))
    task.refresh_from_db()
    assert (task.attempts, task.crashes) == (1, 0)
    assert TaskAttempt.objects.get(task_id=task.id).exception == "bgtasks.exceptions.TaskTimeout"
    assert not process.is_over


def test_f13_f83_a_task_that_ignores_its_time_limit_ends_the_process_with_all_stacks(make_foreground):
    task = tasks.hang_stubbornly.using(max_run_time=1).enqueue()
    process = make_foreground(KILL_GRACE=2).start()
    started = process.wait_for("started")
    assert process.ended() != 0
    assert 0 < time.monotonic() - started["at"] < 1 + 2 + 10
    assert len(process.ledger("interrupted")) >= 2  # once, and again after half of the grace
    assert "hang_stubbornly" in process.log
    assert "most recent call first" in process.log
    task.refresh_from_db()
    assert task.status == Status.RUNNING  # released after the end, never before


def test_f14_f83_a_task_stuck_in_c_ends_the_process_in_time(make_foreground):
    tasks.spin_in_c.using(max_run_time=1).enqueue()
    process = make_foreground(KILL_GRACE=1).start()
    started = process.wait_for("started")
    assert process.ended() != 0
    assert time.monotonic() - started["at"] < 1 + 1 + 10
    assert "spin_in_c" in process.log


def test_f83_the_next_process_on_this_host_releases_the_tasks_of_a_killed_one_at_once(make_foreground):
    task = tasks.hang.enqueue()
    process = make_foreground().start()
    process.wait_for("started")
    process.send(signal.SIGKILL)
    assert process.ended() == -signal.SIGKILL
    assert WorkerProcess.objects.count() == 1
    successor = make_foreground().start()
    successor.wait_for("started")
    task.refresh_from_db()
    assert (task.status, task.attempts, task.crashes) == (Status.RUNNING, 2, 1)
    attempt = TaskAttempt.objects.get()
    assert (attempt.exception, attempt.crashed) == ("bgtasks.exceptions.WorkerDied", True)
    assert f"worker process {process.pid} is gone" in attempt.error
    assert WorkerProcess.objects.get().pid == successor.pid


def test_f83_another_host_does_not_take_the_task_before_the_lease_ends(make_foreground):
    task = tasks.hang.enqueue()
    process = make_foreground().start()
    process.wait_for("started")
    process.send(signal.SIGKILL)
    process.ended()
    WorkerProcess.objects.update(host="elsewhere")  # as it looks to every host but its own
    after = tasks.quick.enqueue(1)
    other = make_foreground().start()
    other.wait_until(lambda: is_done(after))
    task.refresh_from_db()
    assert (task.status, task.attempts, task.crashes) == (Status.RUNNING, 1, 0)


def test_f83_three_deaths_are_poison(make_foreground):
    task = tasks.exit_at_once.enqueue(0)
    for _ in range(3):
        make_foreground(BACKOFF=0).start(is_awaited=False).ended()
    process = make_foreground(BACKOFF=0).start()
    process.wait_until(lambda: is_done(task))
    completed = CompletedTask.objects.get(id=task.id)
    assert (completed.status, completed.crashes) == (Status.FAILED, 3)
    assert completed.last_error.startswith("poison")


def test_f25_what_tasks_do_to_the_connection_stays_theirs(make_foreground):
    misdeeds = [
        project_tasks.leave_transaction_open,
        project_tasks.begin_in_raw_sql,
        project_tasks.leave_autocommit_off,
        project_tasks.break_connection,
        project_tasks.fail_in_sql,
        project_tasks.end_own_session,
    ]
    for misdeed in misdeeds:
        misdeed.enqueue()
        tasks.quick.enqueue(1)
    process = make_foreground().start()
    process.wait_for("ran", len(misdeeds))
    process.wait_until(lambda: Task.objects.filter(attempts=0).count() == 0)
    process.wait_until(lambda: not Task.objects.filter(status=Status.RUNNING).exists())
    assert CompletedTask.objects.filter(task_name=tasks.quick.name).count() == len(misdeeds)
    assert not CompletedTask.objects.filter(task_name="tests.project.tasks.ping").exists()  # of the open transactions
    assert not Task.objects.filter(task_name="tests.project.tasks.ping").exists()
    assert not process.is_over


def test_f26_threads_left_behind_do_not_hold_the_process(make_foreground):
    task = project_tasks.leave_thread.enqueue()
    process = make_foreground().start()
    process.wait_until(lambda: is_done(task))
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert process.log.count("left-behind") == 1
    assert CompletedTask.objects.count() == 1


def test_f18_f24_what_tasks_do_to_the_process_is_put_back(make_foreground):
    tasks.spoil_signals.enqueue()
    project_tasks.spoil_place.enqueue()
    project_tasks.tell_place.enqueue()
    process = make_foreground().start()
    place = process.wait_for("place")
    assert place["directory"] == os.path.realpath(process.directory)
    assert (place["umask"], place["left"], place["files"] > 8) == (os.umask(os.umask(0o022) or 0o022), None, True)
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert process.log.count("changed signals") == 1


def test_f24_damage_that_cannot_be_put_right_ends_the_process_and_says_so(make_foreground):
    project_tasks.close_standard_input.enqueue()
    waiting = tasks.quick.enqueue(1)
    process = make_foreground().start(is_awaited=False)
    assert process.ended() == 70
    assert "damaged descriptors" in process.log
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempts) == (Status.READY, 0)
    assert CompletedTask.objects.count() == 1


def test_f20_a_copy_that_a_task_forked_takes_no_part(make_foreground):
    project_tasks.fork_and_return.enqueue()
    process = make_foreground().start()
    process.wait_until(lambda: CompletedTask.objects.count() == 1)
    assert process.wait_for("copy")["exit_code"] == 70
    assert TaskAttempt.objects.count() == 0


def test_f21_a_child_that_a_task_forks_has_ordinary_signals(make_foreground):
    project_tasks.end_a_child.enqueue()
    process = make_foreground().start()
    assert process.wait_for("child")["exit_code"] == -signal.SIGTERM
    assert not process.is_over
