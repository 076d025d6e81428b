"""What people do to tasks, and what their own ORM writes do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from bgtasks.models import CompletedTask, Queue, Status, Task, TaskAttempt
from bgtasks.queue import claims
from bgtasks.queue.types import Result
from tests.contract.making import (
    ago,
    ahead,
    claim,
    claim_one,
    completed,
    enqueued,
    failure,
    holder,
    live,
    names,
    settle,
    success,
    unsaved,
)


def test_cancelling_a_waiting_task_puts_it_into_the_history() -> None:
    for task in (enqueued(repeat=60), enqueued(run_at=ahead(60))):
        assert claims.cancel(task.id)
        assert (completed(task.id).status, completed(task.id).attempts) == (Status.CANCELLED, 0)
        assert not claims.cancel(task.id)
    assert not Task.objects.exists()


def test_cancelling_a_running_task_asks_for_its_end() -> None:
    task = enqueued()
    claimed = claim_one()
    assert claims.cancel(task.id)
    first = live(task.id).cancel_requested_at
    assert first is not None
    assert claims.cancel(task.id)
    assert live(task.id).cancel_requested_at == first
    assert settle(success(claimed)) == []
    assert completed(task.id).status == Status.SUCCESSFUL


def test_many_are_cancelled_in_one_go_and_each_is_told_what_became_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgtasks.queue.cancelling.AT_ONCE", 2)
    running, over = enqueued(), enqueued()
    claimed = {one.task_id: one for one in claim(2)}
    settle(success(claimed[over.id]))
    waiting = [enqueued(), enqueued(run_at=ahead(60)), enqueued()]
    cancelled = claims.cancel_many([running.id, *(task.id for task in waiting), over.id, 10**9])
    assert cancelled == claims.Cancelled([task.id for task in waiting], [running.id])
    assert {completed(task.id).status for task in waiting} == {Status.CANCELLED}
    assert completed(over.id).status == Status.SUCCESSFUL
    assert claims.cancel_many([]) == claims.Cancelled()


def test_what_shall_be_cancelled_is_found_by_the_workers_that_hold_it() -> None:
    tasks = [enqueued() for _ in range(3)]
    held = [claim_one(holder(number)) for number in (1, 2, 2)]
    claims.cancel_many([tasks[0].id, tasks[1].id])
    assert claims.cancel_requests([holder(2).name]) == [(held[1].task_id, held[1].token, holder(2).name)]
    assert claims.cancel_requests([holder(3).name]) == claims.cancel_requests([]) == []


def test_a_rolled_back_request_has_never_been_made() -> None:
    running, waiting = enqueued(), enqueued()
    claim_one()
    with transaction.atomic():
        assert all(task.cancel() for task in (running, waiting))
        transaction.set_rollback(True)
    assert live(running.id).cancel_requested_at is None
    assert live(waiting.id).status == Status.READY


def test_run_now_makes_waiting_tasks_ready_and_leaves_running_ones_alone() -> None:
    running = enqueued()
    claimed = claim_one()
    past, future = enqueued(run_at=ago(50)), enqueued(run_at=ahead(50))
    assert claims.run_now([running.id, past.id, future.id, 10**9]) == 2
    assert live(past.id).run_at == past.run_at
    assert live(future.id).run_at < ahead(1)
    assert live(future.id).status == Status.READY
    assert live(running.id).claim == claimed.token
    assert len(claim(5)) == 2
    assert claims.run_now([]) == 0


def test_priority_goes_up_and_down_within_its_bounds() -> None:
    task, top = enqueued("one"), enqueued("top", priority=2**31 - 1)
    assert claims.change_priority([task.id, top.id], 3) == 1
    assert claims.change_priority([task.id, top.id], -1) == 2
    assert (live(task.id).priority, live(task.id).claim_order) == (2, -2)
    assert live(top.id).priority == 2**31 - 2


def test_retrying_brings_a_completed_task_back_under_its_id() -> None:
    task = enqueued("tests.one", 5, queue="mail", priority=2, repeat=3600, max_attempts=7, verbose_name="x")
    settle(failure(claim_one(), Result.FAILED))
    Task.objects.all().delete()
    assert claims.retry([task.id, 10**9]) == 1
    assert claims.retry([task.id]) == 0
    row = live(task.id)
    assert (row.status, row.attempts, row.crashes, row.last_error) == (Status.READY, 0, 0, "Traceback: no")
    for name in (
        "task_name",
        "task_params",
        "task_hash",
        "queue",
        "priority",
        "repeat",
        "max_attempts",
        "verbose_name",
    ):
        assert getattr(row, name) == getattr(task, name), name
    assert not CompletedTask.objects.exists()
    assert settle(success(claim_one())) == []
    assert completed(task.id).status == Status.SUCCESSFUL


@pytest.mark.parametrize("status", [Result.SUCCESSFUL, Result.FAILED])
def test_retrying_a_repeating_task_makes_no_second_chain(status: Result) -> None:
    task = enqueued(repeat=3600)
    claimed = claim_one()
    settle(success(claimed) if status is Result.SUCCESSFUL else failure(claimed, status))
    (following,) = Task.objects.all()
    assert claims.retry([task.id]) == 1
    assert (live(task.id).repeat, live(following.id).repeat) == (0, 3600)
    settle(success(claim_one()))
    assert [one.id for one in Task.objects.all()] == [following.id]


def test_retrying_several_runs_of_an_ended_chain_continues_it_once() -> None:
    tasks = [enqueued(repeat=3600) for _ in range(3)]
    for claimed in claim(3):
        settle(failure(claimed, Result.FAILED))
    Task.objects.all().delete()
    assert claims.retry([task.id for task in tasks]) == 3
    assert sorted(live(task.id).repeat for task in tasks) == [0, 0, 3600]


def test_deleting_takes_waiting_tasks_alone() -> None:
    running, waiting = enqueued(), enqueued()
    claim_one()
    TaskAttempt.objects.create(task_id=waiting.id, attempt=1, finished_at=ago(1))
    assert claims.delete_waiting([running.id, waiting.id]) == 1
    assert [task.id for task in Task.objects.all()] == [running.id]
    assert not TaskAttempt.objects.exists()


@pytest.fixture
def others() -> Iterator[Any]:
    """Another connection; on MySQL and MariaDB ours waits no longer than a second for what that one locks."""
    if not connection.features.has_select_for_update:
        pytest.skip("there is one writer at a time")
    made: Any = connection.copy()
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
    made.set_autocommit(False)
    yield made
    made.rollback()
    made.close()
    connection.close()


@pytest.mark.parametrize(
    "act",
    [
        claims.delete_waiting,
        claims.run_now,
        lambda ids: claims.change_priority(ids, 1),
        lambda ids: claims.remove_waiting(live(ids[0]).task_hash),
    ],
    ids=["delete", "run now", "priority", "remove"],
)
def test_nobody_waits_for_tasks_that_were_not_meant(act: Callable[[list[int]], int], others: Any) -> None:
    """Least of all in a small table, which a database likes to read from end to end."""
    meant = [enqueued("meant").id, enqueued("meant").id]
    locked = enqueued("another")
    meant += [enqueued("meant").id]
    with others.cursor() as cursor:
        cursor.execute("SELECT id FROM bgtasks_task WHERE id = %s FOR UPDATE", [locked.id])
        cursor.fetchall()
    assert act(meant) == 3


def test_removing_by_hash_takes_every_waiting_equal_task() -> None:
    running = enqueued()
    claim_one()
    enqueued(), enqueued(run_at=ahead(50), queue="mail"), enqueued("other")
    assert claims.remove_waiting(running.task_hash) == 2
    assert sorted(task.task_name for task in Task.objects.all()) == ["other", "tests.one"]


# The user's own ORM writes


def test_create_makes_a_row_as_good_as_an_enqueued_one() -> None:
    ready = Task.objects.create(task_name="tests.one", task_params="[[1], {}]")
    later = Task.objects.create(task_name="tests.two", task_params="[[], {}]", run_at=ahead(60), queue="mail")
    assert ready.task_hash == unsaved("tests.one", 1).task_hash
    assert (live(ready.id).status, live(later.id).status) == (Status.READY, Status.SCHEDULED)
    assert live(ready.id).created_at is not None
    assert set(Queue.objects.values_list("name", flat=True)) == {"default", "mail"}
    assert names(claim(5)) == ["tests.one"]


def test_bulk_create_does_so_too() -> None:
    Task.objects.bulk_create([Task(task_name="tests.one", queue="bulk"), Task(task_name="tests.two", run_at=ahead(60))])
    assert sorted(Task.objects.values_list("status", flat=True)) == [Status.SCHEDULED, Status.READY]
    assert names(claim(5)) == ["tests.one"]


def test_new_task_is_saved_by_its_caller_like_in_the_heritage() -> None:
    task = Task.objects.new_task("tests.one", (1,), {"a": 2}, priority=3)
    assert task.pk is None
    task.save()
    assert claim_one().task_params == '[[1], {"a": 2}]'


def test_saving_a_loaded_row_writes_the_changed_fields_alone() -> None:
    task = enqueued()
    mine = live(task.id)
    claimed = claim_one()
    Task.objects.filter(id=task.id).update(verbose_name="theirs")
    mine.priority = 9
    mine.save()
    row = live(task.id)
    assert (row.priority, row.verbose_name, row.claim, row.status) == (9, "theirs", claimed.token, Status.RUNNING)
    assert settle(success(claimed)) == []


def test_saving_never_writes_status_or_claim() -> None:
    task = enqueued()
    claimed = claim_one()
    mine = live(task.id)
    mine.status, mine.claim, mine.locked_by, mine.locked_at = Status.READY, None, None, None
    mine.save()
    mine.save(update_fields=["status", "claim", "locked_by"])
    row = live(task.id)
    assert (row.status, row.claim, row.locked_by) == (Status.RUNNING, claimed.token, claimed.locked_by)


def test_saving_an_enqueued_task_that_is_over_does_not_bring_it_back() -> None:
    task = enqueued()
    settle(success(claim_one()))
    task.priority = 5
    with pytest.raises(DatabaseError):
        task.save()
    assert not Task.objects.exists()


def test_a_run_at_changed_by_hand_is_honoured_and_starts_a_new_phase() -> None:
    task = enqueued(repeat=60, run_at=ago(10))
    settle(failure(claim_one(), retry_in=100))
    mine = live(task.id)
    mine.run_at = moved = ago(1)
    mine.save()
    assert live(task.id).due_at is None
    claims.stage()
    settle(success(claim_one()))
    assert Task.objects.get().run_at == moved + timedelta(seconds=60)


def test_a_waiting_task_deleted_by_its_owner_is_gone_for_good() -> None:
    enqueued(repeat=60).delete()
    assert claim() == []
    assert claims.stage() == 0


def test_the_live_workers_row_answers_locked_by_pid_running() -> None:
    from bgtasks.models import WorkerProcess

    task = enqueued()
    assert live(task.id).locked_by_pid_running() is None
    claim_one()
    assert live(task.id).locked_by_pid_running() is False
    claims.register(WorkerProcess(name=holder().name, host="host", pid=1))
    assert live(task.id).locked_by_pid_running() is True
