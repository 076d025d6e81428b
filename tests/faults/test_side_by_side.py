"""Several coroutines in one worker: one is cancelled, runs too long or takes it down; a drain, a stop, a crash."""

from __future__ import annotations

import json
import os
import signal

import pytest

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt
from tests.daemon import SLOW_MACHINE
from tests.lifecycle import coroutines, tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def start(make_daemon):
    """A function that starts a daemon whose workers have so many places."""

    def start(places: int = 8, *, workers: int = 1, pause: str = "", **bgtasks):
        made = make_daemon(
            workers=workers, TASK_MODULES=["tests.lifecycle.coroutines"], CONCURRENCY=places, LEASE=20, **bgtasks
        )
        if pause:
            made.variables["BGTASKS_TEST_PAUSE"] = f"{pause}:{made.directory / 'pause'}"
        return made.start()

    return start


def waiting(daemon, *numbers: int) -> list[int]:
    """Enqueue coroutines that wait for the file `go`, and wait until they run; return their ids."""
    before = len(daemon.ledger("started"))
    ids = coroutines.wait_for_file.enqueue_many([(("go", number), {}) for number in numbers])
    wait_until(lambda: len(daemon.ledger("started")) >= before + len(numbers), SLOW_MACHINE, "their start")
    return ids


def let_go(daemon) -> None:
    (daemon.directory / "go").touch()


def ended(task_id: int) -> CompletedTask:
    return wait_until(lambda: CompletedTask.objects.filter(pk=task_id).first(), SLOW_MACHINE, f"the end of {task_id}")


def facts(*ids: int) -> set[tuple[int, int, int]]:
    """Return status, attempts and crashes of tasks that are not over."""
    return set(Task.objects.filter(pk__in=ids).values_list("status", "attempts", "crashes"))


def test_a_cancel_and_a_time_limit_end_one_each_and_no_neighbour(start):
    daemon = start()
    neighbours = waiting(daemon, 1, 2, 3)
    pid = daemon.worker(1)["pid"]
    unwanted = coroutines.pause.enqueue(3600, 4)
    late = coroutines.pause_for_too_long.enqueue(5)
    wait_until(lambda: daemon.worker(1)["running"] == 5, SLOW_MACHINE)
    assert Task.objects.get(pk=unwanted.pk).cancel()
    assert ended(unwanted.pk).status == Status.CANCELLED
    assert ended(late.pk).status == Status.FAILED
    assert {each.exception for each in TaskAttempt.objects.filter(task_id=late.pk)} == {
        "bgtasks.exceptions.TaskTimeout"
    }
    assert facts(*neighbours) == {(Status.RUNNING, 1, 0)}
    let_go(daemon)
    assert {ended(task_id).status for task_id in neighbours} == {Status.SUCCESSFUL}
    assert daemon.worker(1)["pid"] == pid
    daemon.assert_converged()


@pytest.mark.parametrize("task", [coroutines.ignore_everything, coroutines.block_the_loop], ids=["waits", "blocks"])
def test_for_one_that_does_not_obey_the_worker_is_killed_and_its_neighbours_are_not_charged(start, task):
    daemon = start(KILL_GRACE=1)
    neighbours = waiting(daemon, 1, 2, 3)
    pid = daemon.worker(1)["pid"]
    stubborn = task.enqueue()
    wait_until(lambda: daemon.worker(1)["running"] == 4, SLOW_MACHINE)
    assert Task.objects.get(pk=stubborn.pk).cancel()
    over = ended(stubborn.pk)
    assert (over.status, over.attempts, over.crashes) == (Status.CANCELLED, 1, 0)
    if daemon.worker(1)["pid"] == pid:
        assert task is coroutines.block_the_loop, "who computes is interrupted the second time"
    let_go(daemon)
    for task_id in neighbours:
        over = ended(task_id)
        assert (over.status, over.attempts, over.crashes) == (Status.SUCCESSFUL, 1, 0)
    daemon.assert_converged()


def test_a_crash_charges_what_ran_and_gives_back_what_was_only_claimed(start):
    daemon = start(pause="claimed")
    running = waiting(daemon, 1, 2, 3, 4, 5)
    (daemon.directory / "pause").touch()
    waits = coroutines.wait_for_file.enqueue_many([(("go", number), {}) for number in (6, 7, 8)])
    wait_until(lambda: daemon.ledger("claimed"), SLOW_MACHINE, "their claim")
    claimed = list(Task.objects.filter(pk__in=waits, status=Status.RUNNING).values_list("pk", flat=True))
    assert claimed
    os.kill(daemon.worker(1)["pid"], signal.SIGKILL)
    (daemon.directory / "pause").unlink()
    wait_until(lambda: TaskAttempt.objects.count() == 5, SLOW_MACHINE, "the account of the death")
    assert set(TaskAttempt.objects.values_list("task_id", "crashed")) == {(task_id, True) for task_id in running}
    assert len(daemon.log_lines("died: SIGKILL: killed from outside")) == 1
    let_go(daemon)
    for task_id in running:
        over = ended(task_id)
        assert (over.status, over.attempts, over.crashes) == (Status.SUCCESSFUL, 2, 1)
    for task_id in waits:
        over = ended(task_id)
        assert (over.status, over.attempts, over.crashes) == (Status.SUCCESSFUL, 1, 0)
    daemon.assert_converged()


def test_a_drain_lets_all_finish_a_stop_gives_all_back(start):
    daemon = start(DRAIN_TIMEOUT=1, KILL_GRACE=2)
    running = waiting(daemon, 1, 2, 3)
    assert daemon.command("drain", "--no-wait").returncode == 0
    behind = coroutines.pause.enqueue(0, 4)
    assert facts(*running) == {(Status.RUNNING, 1, 0)}
    assert daemon.status()["state"] == "draining"
    assert daemon.command("drain", "--undo").returncode == 0
    assert ended(behind.pk).status == Status.SUCCESSFUL
    assert daemon.end() == 0
    assert facts(*running) == {(Status.READY, 0, 0)}


def test_status_tells_of_all_that_run(start):
    daemon = start()
    running = waiting(daemon, 1, 2, 3)
    worker = wait_until(lambda: (seen := daemon.worker(1))["running"] == 3 and seen, SLOW_MACHINE)
    assert {each["task_id"] for each in worker["tasks"]} == {str(task_id) for task_id in running}
    assert worker["task_id"] == worker["tasks"][0]["task_id"]
    assert worker["state"] == "busy"
    stacks = json.loads(daemon.command("stacks", "1", "--json").stdout)
    assert str(running[0]) in json.dumps(stacks)
    assert "wait_for_file and 2 more" in daemon.command("top", "-n", "1").stdout
    let_go(daemon)
    wait_until(lambda: CompletedTask.objects.count() == 3, SLOW_MACHINE)


def test_a_reload_brings_another_number_of_places_and_an_upgrade_keeps_what_runs(start):
    daemon = start(3)
    running = waiting(daemon, 1, 2, 3)
    daemon.add_setting("BGTASKS['CONCURRENCY'] = 20")
    assert daemon.command("upgrade").returncode == 0  # a reload follows
    unwanted = running.pop()
    assert Task.objects.get(pk=unwanted).cancel()
    assert ended(unwanted).status == Status.CANCELLED
    assert facts(*running) == {(Status.RUNNING, 1, 0)}
    let_go(daemon)
    assert {ended(task_id).attempts for task_id in running} == {1}
    wait_until(lambda: daemon.log_lines("left: reload"), SLOW_MACHINE, "the end of the old worker")
    (daemon.directory / "go").unlink()
    waiting(daemon, *range(20))
    assert daemon.worker(1)["running"] == 20
    let_go(daemon)
    wait_until(lambda: not Task.objects.exists(), SLOW_MACHINE)
    daemon.baseline += 1  # a scoreboard that had to grow is mapped twice, and each mapping has a descriptor
    daemon.assert_converged()


def test_workers_with_several_places_run_everything_once(start):
    daemon = start(10, workers=2)
    coroutines.pause.enqueue_many([((0.01, number), {}) for number in range(60)])
    for number in range(20):
        tasks.quick.enqueue(1000 + number)
    wait_until(lambda: CompletedTask.objects.succeeded().count() == 80, SLOW_MACHINE)
    assert sorted(note["number"] for note in daemon.ledger("started")) == list(range(60))
    assert set(CompletedTask.objects.values_list("attempts", flat=True)) == {1}
    assert daemon.status()["totals"]["done"] == 80
    daemon.assert_converged()
