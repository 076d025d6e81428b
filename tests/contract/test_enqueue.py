"""Storing a task: its row, the caller's transaction, and the ways not to have two that are equal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.utils import timezone

from bgtasks.models import Queue, Status, Task
from bgtasks.queue import claims
from tests.contract.making import ago, ahead, claim, claim_one, enqueued, failure, live, settle, unsaved


def test_a_task_due_now_is_ready_and_knows_its_row() -> None:
    task = enqueued("tests.one", 1)
    stored = live(task.id)
    assert task.status == stored.status == Status.READY
    assert task.run_at == stored.run_at
    assert task.created_at == stored.created_at
    assert stored.params() == ([1], {})
    assert abs(stored.run_at - timezone.now()) < timedelta(seconds=30)
    assert not task._state.adding


def test_a_task_due_in_the_past_is_ready_and_keeps_its_time() -> None:
    due = ago(3600).replace(microsecond=123456)
    task = enqueued(run_at=due)
    assert live(task.id).run_at == task.run_at == due
    assert live(task.id).status == Status.READY


def test_a_task_due_later_is_scheduled_to_the_microsecond() -> None:
    due = ahead(3600).replace(microsecond=654321)
    task = enqueued(run_at=due)
    assert live(task.id).run_at == due
    assert live(task.id).status == task.status == Status.SCHEDULED
    assert claim() == []


def test_every_column_of_a_request_is_stored() -> None:
    kind = ContentType.objects.get_for_model(Task)
    task = enqueued(
        priority=-7,
        repeat=60,
        repeat_until=ahead(9000),
        queue="mail",
        max_attempts=3,
        max_run_time=0,
        verbose_name="Näme ✓",
        creator_content_type=kind,
        creator_object_id="abc",
        headers='{"a": 1}',
    )
    stored = live(task.id)
    for name in ("priority", "repeat", "repeat_until", "queue", "max_attempts", "max_run_time", "verbose_name"):
        assert getattr(stored, name) == getattr(task, name), name
    assert (stored.creator_content_type, stored.creator_object_id) == (kind, "abc")
    assert (stored.headers, stored.attempts, stored.crashes, stored.last_error) == ('{"a": 1}', 0, 0, "")


def test_the_first_task_of_a_queue_makes_its_row() -> None:
    enqueued(queue="new")
    enqueued(queue="new")
    assert Queue.objects.filter(name="new").count() == 1


def test_a_rollback_takes_the_task_and_the_queues_row_away() -> None:
    with transaction.atomic():
        enqueued(queue="gone")
        transaction.set_rollback(True)
    assert not Task.objects.exists()
    assert not Queue.objects.exists()
    enqueued(queue="gone")
    assert [one.queue for one in claim()] == ["gone"]


def test_nobody_claims_a_task_before_its_transaction_is_committed() -> None:
    if not connection.features.test_db_allows_multiple_connections or not connection.features.has_select_for_update:
        pytest.skip("with one writer at a time the claim waits for the commit")
    with transaction.atomic():
        enqueued()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_in_a_thread, claim).result() == []
    assert len(claim()) == 1


def test_check_existing_stores_only_if_no_equal_task_waits() -> None:
    assert claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    assert not claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    assert claims.enqueue_unless_waiting(unsaved("tests.one", 1), same_queue_only=False)
    assert Task.objects.count() == 2


def test_check_existing_sees_tasks_that_were_stored_without_it() -> None:
    enqueued(run_at=ahead(60), queue="mail")
    assert not claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    assert claims.enqueue_unless_waiting(unsaved(), same_queue_only=True)
    assert not claims.enqueue_unless_waiting(unsaved(queue="mail"), same_queue_only=True)


def test_a_running_task_does_not_count_as_waiting_but_one_in_backoff_does() -> None:
    assert claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    running = claim_one()
    assert claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)
    claim_one()
    settle(failure(running))
    assert not claims.enqueue_unless_waiting(unsaved(), same_queue_only=False)


def test_of_many_callers_with_check_existing_one_stores() -> None:
    assert sum(_at_once(lambda: claims.enqueue_unless_waiting(unsaved(), same_queue_only=False))) == 1
    assert Task.objects.count() == 1


def test_reschedule_existing_moves_all_equal_tasks_and_stores_nothing() -> None:
    first, second = enqueued(), enqueued(run_at=ahead(100), queue="mail")
    due = ahead(500)
    assert not claims.move_waiting_or_enqueue(unsaved(run_at=due, priority=4), same_queue_only=False)
    for task in (first, second):
        assert (live(task.id).run_at, live(task.id).priority, live(task.id).status) == (due, 4, Status.SCHEDULED)
    assert not claims.move_waiting_or_enqueue(unsaved(priority=1), same_queue_only=True)
    assert (live(first.id).priority, live(first.id).status) == (1, Status.READY)
    assert live(second.id).priority == 4
    assert Task.objects.count() == 2


def test_reschedule_existing_keeps_the_attempts_of_a_task_in_backoff() -> None:
    task = enqueued()
    settle(failure(claim_one()))
    assert live(task.id).due_at is not None
    assert not claims.move_waiting_or_enqueue(unsaved(), same_queue_only=False)
    moved = live(task.id)
    assert (moved.attempts, moved.due_at, moved.status) == (1, None, Status.READY)


def test_of_many_callers_with_reschedule_existing_one_stores() -> None:
    assert sum(_at_once(lambda: claims.move_waiting_or_enqueue(unsaved(), same_queue_only=False))) == 1
    assert Task.objects.count() == 1


def test_replacing_deletes_every_waiting_task_and_stores_one() -> None:
    enqueued(queue="mail", run_at=ahead(60))
    enqueued()
    running = claim_one()
    kept = claims.replace_waiting(unsaved())
    assert set(Task.objects.values_list("id", flat=True)) == {running.task_id, kept.id}


def test_the_priority_sign_follows_the_ordering_and_the_door(settings: object) -> None:
    settings.BGTASKS = {"PRIORITY_ORDERING": "ASC"}  # type: ignore[attr-defined]
    low, high = enqueued("low", priority=1), enqueued("high", priority=9)
    door = enqueued("door", priority=5, backend="default")
    orders = {task.task_name: live(task.id).claim_order for task in (low, high, door)}
    assert orders == {"low": 1, "high": 9, "door": -5}


def _in_a_thread(function):  # type: ignore[no-untyped-def]
    try:
        return function()
    finally:
        connection.close()


def _at_once(function, callers: int = 6):  # type: ignore[no-untyped-def]
    """Call from several connections at the same time; return what each got."""
    enqueued("tests.warm", queue="default")
    Task.objects.filter(task_name="tests.warm").delete()
    with ThreadPoolExecutor(callers) as pool:
        return [one.result() for one in [pool.submit(_in_a_thread, function) for _ in range(callers)]]
