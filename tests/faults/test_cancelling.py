"""Cancelling what runs: by those who have nothing but the database, obeyed or enforced, and never too late."""

from __future__ import annotations

import signal

import pytest

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

CANCELLED = "bgtasks.exceptions.TaskCancelled"


def over(task) -> CompletedTask:
    """Wait for the task's end."""
    return wait_until(lambda: CompletedTask.objects.filter(pk=task.pk).first(), SLOW_MACHINE, f"the end of {task}")


def assert_cancelled_in_its_first_attempt(task) -> None:
    ended = over(task)
    assert (ended.status, ended.attempts, ended.crashes) == (Status.CANCELLED, 1, 0)
    attempt = TaskAttempt.objects.get(task_id=task.pk)
    assert (attempt.exception, attempt.crashed, attempt.attempt) == (CANCELLED, False, 1)
    assert attempt.worker
    assert not Task.objects.filter(pk=task.pk).exists()


NAMES = ("hang", "hang_and_tidy_up", "hang_stubbornly", "spin_in_c", "nap")


def test_a_running_task_ends_by_itself_or_by_force_and_nobody_else_is_hurt(make_daemon):
    daemon = make_daemon(workers=5, LEASE=60, ORPHAN_TIMEOUT=10, KILL_GRACE=2)  # leases are renewed each 20 s
    daemon.variables["BGTASKS_TEST_HEAR"] = "1"
    daemon.start()
    doomed = [tasks.hang(), tasks.hang_and_tidy_up(0.5), tasks.hang_stubbornly(), tasks.spin_in_c()]
    bystander = tasks.nap(3600, 9)
    pids = {name: daemon.busy_worker(name)["pid"] for name in NAMES}
    assert all(task.cancel() for task in doomed)
    for task in doomed:
        assert_cancelled_in_its_first_attempt(task)
        assert not task.cancel()
    assert daemon.ledger("tidied up")
    assert {entry["error"] for entry in daemon.ledger("interrupted")} == {"TaskCancelled"}
    wait_until(lambda: len(daemon.worker_pids()) == 5, SLOW_MACHINE)
    killed = {pids["hang_stubbornly"], pids["spin_in_c"]}
    assert set(pids.values()) - set(daemon.worker_pids()) == killed
    assert daemon.busy_worker("nap")["task_id"] == str(bystander.pk)
    check_what_is_told(daemon, {task.pk for task in doomed})
    assert bystander.cancel()
    assert_cancelled_in_its_first_attempt(bystander)
    daemon.assert_converged()


def check_what_is_told(daemon, cancelled):
    assert len(daemon.log_lines("died: killed: the task was cancelled and did not end when interrupted")) == 2
    totals = daemon.status()["totals"]
    assert (totals["cancelled"], totals["crashed"], totals["retried"]) == (4, 0, 0)
    # Of those that were killed idle workers tell, at least once each.
    wait_until(lambda: {entry["task_id"] for entry in daemon.ledger("told of cancelling")} == cancelled, SLOW_MACHINE)


def test_the_host_that_runs_it_ends_it_whoever_asked(make_daemon):
    daemons = [make_daemon(name, workers=1).start() for name in ("one", "two")]
    both = [tasks.hang(1), tasks.hang(2)]
    for daemon in daemons:
        daemon.busy_worker("hang")
    by_id = {int(daemon.worker(1)["task_id"]): daemon for daemon in daemons}
    runs, asks = (by_id[both[at].pk] for at in (0, 1))
    command = f"from bgtasks.models import Task; print(Task.objects.get(pk={both[0].pk}).cancel())"
    asked = asks.python(command)
    assert (asked.returncode, asked.stdout) == (0, "True\n"), asked.stderr
    assert_cancelled_in_its_first_attempt(both[0])
    assert [entry["number"] for entry in runs.ledger("interrupted")] == [1]
    assert not asks.ledger("interrupted")
    assert asks.worker(1)["task_id"] == str(both[1].pk)


def test_a_task_whose_body_is_over_when_the_interrupt_comes_stays_successful(make_daemon):
    daemon = make_daemon(workers=1, KILL_GRACE=20, LEASE=60)
    pause = daemon.directory / "pause"
    daemon.variables["BGTASKS_TEST_PAUSE"] = f"finished:{pause}"
    daemon.start()
    pause.touch()
    task = tasks.quick(1)
    wait_until(lambda: daemon.ledger("finished"), SLOW_MACHINE, "the end of the body")
    assert task.cancel()
    wait_until(lambda: daemon.log_lines(f"task {task.pk} .*interrupted: cancelled"), SLOW_MACHINE, "the interrupt")
    pause.unlink()
    assert (over(task).status, over(task).attempts) == (Status.SUCCESSFUL, 1)
    after = tasks.quick(2)
    assert over(after).status == Status.SUCCESSFUL
    assert not TaskAttempt.objects.exists()
    daemon.assert_converged()


def test_of_a_batch_what_was_claimed_and_not_started_is_never_started(make_daemon):
    daemon = make_daemon(workers=1, LEASE=60)
    obstacle = daemon.directory / "stand-1000"
    obstacle.touch()
    daemon.start()
    for number in range(30):
        tasks.stand(number)
    wait_until(lambda: CompletedTask.objects.count() == 30, SLOW_MACHINE, "fast tasks, so that batches grow")
    first, *behind = tasks.stand.enqueue_many([((number,), {}) for number in range(1000, 1006)])
    wait_until(lambda: Task.objects.filter(status=Status.RUNNING).count() > 1, SLOW_MACHINE, "a batch")
    doomed = [task_id for task_id in behind if Task.objects.get(pk=task_id).status == Status.RUNNING]
    assert all(Task.objects.get(pk=task_id).cancel() for task_id in doomed)
    wait_until(lambda: CompletedTask.objects.filter(pk__in=doomed).count() == len(doomed), SLOW_MACHINE)
    obstacle.unlink()
    wait_until(lambda: not Task.objects.exists(), SLOW_MACHINE)
    assert {one.status for one in CompletedTask.objects.filter(pk__in=doomed)} == {Status.CANCELLED}
    assert CompletedTask.objects.get(pk=first).status == Status.SUCCESSFUL
    ran = [entry["number"] for entry in daemon.ledger("ran")]
    assert len(ran) == len(set(ran)) == 30 + 6 - len(doomed)


@pytest.fixture
def process(make_foreground):
    """A worker that nobody supervises."""
    return make_foreground(BACKOFF=0).start()


def test_without_a_daemon_it_is_not_interrupted_but_never_tried_again(process):
    fails, stands = tasks.hang_and_fail.enqueue(1), tasks.hang_and_fail.enqueue(2)
    process.wait_for("started")
    assert fails.cancel()
    assert stands.cancel()
    assert CompletedTask.objects.get().pk == stands.pk  # it waited
    (process.directory / "fail-1").touch()
    process.wait_until(lambda: CompletedTask.objects.filter(pk=fails.pk).exists())
    ended = over(fails)
    assert (ended.status, ended.attempts) == (Status.CANCELLED, 1)
    after = tasks.quick.enqueue(1)
    assert over(after).status == Status.SUCCESSFUL
    assert len(process.ledger("started")) == 1


def test_without_a_daemon_the_second_signal_interrupts_it_and_it_is_cancelled(process):
    task = tasks.hang()
    process.wait_for("started")
    assert task.cancel()
    # One that comes right before the task falls asleep is noticed when it wakes, or with the next one.
    process.wait_until(lambda: CompletedTask.objects.exists() or process.send(signal.SIGTERM))
    process.ended()
    assert (over(task).status, over(task).attempts) == (Status.CANCELLED, 1)
