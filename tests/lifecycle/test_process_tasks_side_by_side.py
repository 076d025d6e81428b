"""`manage.py process_tasks --concurrency`: coroutines share one event loop, and what ends one ends no other."""

from __future__ import annotations

import signal

import pytest

from bgtasks.models import CompletedTask, Status, Task, TaskAttempt, WorkerProcess
from tests.lifecycle import coroutines, tasks

pytestmark = pytest.mark.processes


@pytest.fixture
def start(make_foreground):
    """A function that starts a worker with so many places."""

    def start(places: int, *options: str, **bgtasks):
        made = make_foreground(TASK_MODULES=["tests.lifecycle.coroutines"], **bgtasks)
        return made.start("--concurrency", str(places), *options)

    return start


def held(process, name: str, *numbers: int) -> list[Task]:
    """Enqueue coroutines that wait for a file, and wait until they run."""
    before = len(process.ledger("started"))
    waiting = [coroutines.wait_for_file.enqueue(name, number) for number in numbers]
    process.wait_for("started", before + len(numbers))
    return waiting


def let_go(process, name: str) -> None:
    (process.directory / name).touch()


def statuses() -> dict[str, int]:
    found = CompletedTask.objects.values_list("outcome", flat=True)
    return {Status(outcome).name: list(found).count(outcome) for outcome in set(found)}


def test_as_many_run_side_by_side_as_there_are_places_and_no_more_are_claimed(start):
    process = start(4)
    coroutines.wait_for_file.enqueue_many([(("go", number), {}) for number in range(10)])
    process.wait_for("started", 4)
    process.wait_until(lambda: Task.objects.filter(status=Status.RUNNING).count() == 4)
    assert len(process.ledger("started")) == 4
    assert Task.objects.filter(status=Status.READY, attempts=0).count() == 6
    let_go(process, "go")
    process.wait_until(lambda: statuses() == {"SUCCESSFUL": 10})
    assert sorted(note["number"] for note in process.ledger("ended")) == list(range(10))
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert not WorkerProcess.objects.exists()


def test_what_is_over_is_written_down_while_the_others_go_on(start):
    process = start(4)
    held(process, "go", 1, 2)
    quick = coroutines.pause.enqueue(0, 3)
    process.wait_until(lambda: CompletedTask.objects.filter(pk=quick.pk).exists())
    assert Task.objects.filter(status=Status.RUNNING).count() == 2
    let_go(process, "go")
    process.wait_until(lambda: statuses() == {"SUCCESSFUL": 3})


def test_a_time_limit_and_a_cancel_end_one_and_not_its_neighbours(start):
    process = start(5)
    held(process, "go", 1, 2)
    slow = coroutines.pause_for_too_long.enqueue(3)
    unwanted = coroutines.pause.enqueue(3600, 4)
    process.wait_for("started", 4)
    assert Task.objects.get(pk=unwanted.pk).cancel()
    process.wait_until(lambda: statuses() == {"CANCELLED": 1})
    process.wait_until(lambda: TaskAttempt.objects.filter(task_id=slow.pk).exists())
    attempt = TaskAttempt.objects.get(task_id=slow.pk)
    assert (attempt.exception, attempt.crashed) == ("bgtasks.exceptions.TaskTimeout", False)
    assert "await asyncio.sleep(3600)" in Task.objects.get(pk=slow.pk).last_error
    assert [note["error"] for note in process.ledger("interrupted")] == ["CancelledError"]
    let_go(process, "go")
    process.wait_until(lambda: statuses() == {"CANCELLED": 1, "SUCCESSFUL": 2})


def test_a_stop_lets_all_finish_and_a_second_one_gives_all_back(start):
    process = start(3)
    running = held(process, "go", 1, 2)
    process.send(signal.SIGTERM)
    process.wait_until(lambda: "finishing the running task" in process.log)
    assert not process.is_over
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    for task in running:
        task.refresh_from_db()
        assert (task.status, task.attempts, task.crashes) == (Status.READY, 0, 0)
    again = start(3)
    again.wait_for("started", 2)
    again.send(signal.SIGTERM)
    let_go(again, "go")
    assert again.ended() == 0
    assert statuses() == {"SUCCESSFUL": 2}


def test_what_is_synchronous_runs_alone_when_those_that_run_are_over(start):
    process = start(4)
    held(process, "go", 1, 2)
    alone = [coroutines.stand_alone.enqueue(number) for number in range(2)]
    coroutines.pause.enqueue(0, 3)
    process.wait_until(lambda: Task.objects.filter(pk=alone[0].pk, attempts=0, status=Status.READY).exists())
    let_go(process, "go")
    process.wait_until(lambda: statuses() == {"SUCCESSFUL": 5})
    events = [note["event"] for note in process.ledger() if note["event"] != "kept"]
    for number in range(2):
        at = [at for at, note in enumerate(process.ledger()) if note["event"] == "alone" and note["number"] == number]
        assert events[at[0] + 1] == "alone no more"
    assert events.index("alone") > events.index("ended")
    assert set(CompletedTask.objects.values_list("attempts", flat=True)) == {1}


def test_a_suspect_runs_with_nothing_beside_it(start):
    suspect = coroutines.wait_for_file.enqueue("suspect", 0)
    Task.objects.filter(pk=suspect.pk).update(crashes=1)
    process = start(4)
    process.wait_for("started")
    coroutines.pause.enqueue(0, 1)
    tasks.quick.enqueue(2)
    process.wait_until(lambda: Task.objects.filter(status=Status.READY).count() == 2)
    assert len(process.ledger("started")) == 1
    let_go(process, "suspect")
    process.wait_until(lambda: statuses() == {"SUCCESSFUL": 3})


def test_context_variables_are_each_ones_own_and_the_orm_of_all_runs_in_one_thread(start):
    process = start(8)
    coroutines.keep_apart.enqueue_many([((number,), {}) for number in range(8)])
    process.wait_until(lambda: statuses() == {"SUCCESSFUL": 8})
    kept = process.ledger("kept")
    assert all(note["number"] == note["found"] for note in kept)
    assert len({note["thread"] for note in kept}) == 1
    assert "left threads" not in process.log
    process.send(signal.SIGTERM)
    assert process.ended() == 0


def test_each_has_a_context_of_its_own_and_what_it_tells_is_written(start):
    process = start(3)
    told = [coroutines.tell.enqueue(number) for number in (17, 34)]
    process.wait_until(lambda: [coroutines.tell.progress(task.pk) for task in told] == [(17, 100, ""), (34, 100, "")])
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    noted = {note["number"]: note["task_id"] for note in process.ledger("told to stop")}
    assert noted == {17: told[0].pk, 34: told[1].pk}


def test_nothing_outlives_the_coroutine_that_began_it(start):
    process = start(4)
    running = held(process, "go", 1)
    coroutines.leave_something_running.enqueue(2)
    process.wait_until(lambda: statuses() == {"SUCCESSFUL": 1})
    assert process.ledger("was cancelled") == [{**process.ledger("was cancelled")[0], "number": 2, "cancelled": True}]
    assert Task.objects.get().pk == running[0].pk


def test_an_exit_in_the_loop_ends_neither_the_worker_nor_the_neighbours(start):
    process = start(4)
    held(process, "go", 1)
    coroutines.exit_in_what_it_began.enqueue()
    process.wait_until(lambda: len(statuses()) == 1)
    let_go(process, "go")
    process.wait_until(lambda: CompletedTask.objects.count() == 2)
    assert "SystemExit left the event loop" in process.log


def test_a_count_that_cannot_be_is_refused(make_foreground):
    process = make_foreground().start("--concurrency", "5000", is_awaited=False)
    assert process.ended() == 2
    assert "--concurrency: 5,000 tasks side by side: between 1 and 1,000 are possible" in process.log
