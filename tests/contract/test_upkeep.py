"""Staging what is due, knowing when the next is, and pruning the history."""

from __future__ import annotations

import pytest

from bgtasks.models import CompletedTask, Queue, Status, Task, TaskAttempt
from bgtasks.queue import claims
from bgtasks.queue.types import Result
from tests.contract.making import ago, ahead, claim, claim_one, enqueued, failure, live, names, settle, success


def test_due_tasks_become_ready_the_oldest_first() -> None:
    for number in range(5):
        enqueued(str(number), run_at=ahead(100))
    later = enqueued("later", run_at=ahead(100))
    for number in range(5):
        Task.objects.filter(task_name=str(number)).update(run_at=ago(10 - number))
    assert claim() == []
    assert claims.stage(limit=3) == 3
    assert names(claim(9)) == ["0", "1", "2"]
    assert claims.stage() == 2
    assert claims.stage() == 0
    assert live(later.id).status == Status.SCHEDULED


def test_a_retry_becomes_ready_when_its_delay_is_over() -> None:
    task = enqueued()
    settle(failure(claim_one(), retry_in=0.05))
    assert live(task.id).status == Status.SCHEDULED
    Task.objects.update(run_at=ago(0.01))
    assert claims.stage() == 1
    assert claim_one().attempts == 2


def test_the_next_due_time_is_told_by_the_databases_clock() -> None:
    assert claims.next_due() is None
    enqueued()
    assert claims.next_due() is None
    enqueued(run_at=ahead(100))
    enqueued(run_at=ahead(50))
    seconds = claims.next_due()
    assert seconds is not None
    assert 20 < seconds <= 50
    Task.objects.update(run_at=ago(5))
    assert (claims.next_due() or 0) < -4


def test_history_is_pruned_by_outcome_and_age_in_batches(settings: pytest.FixtureRequest) -> None:
    settings.BGTASKS = {"KEEP": {"successful": 3600, "failed": None}}  # type: ignore[attr-defined]
    for number in range(6):
        enqueued(str(number))
    held = claim(6)
    for claimed in held[:4]:
        settle(success(claimed))
    for claimed in held[4:]:
        settle(failure(claimed, Result.FAILED))
    CompletedTask.objects.exclude(id=held[0].task_id).update(run_at=ago(7200))
    TaskAttempt.objects.create(task_id=held[1].task_id, attempt=1, finished_at=ago(7200))
    assert claims.prune(batch=2) == 2
    assert claims.prune() == 1
    assert claims.prune() == 0
    assert set(CompletedTask.objects.values_list("task_name", flat=True)) == {"0", "4", "5"}
    assert set(TaskAttempt.objects.values_list("task_id", flat=True)) == {held[4].task_id, held[5].task_id}


def test_attempts_are_pruned_whose_tasks_are_gone_when_they_are_older_than_any_history() -> None:
    waiting, over, deleted, young = (enqueued(str(number)) for number in range(4))
    for claimed in claim(4):
        ends = claimed.task_id == over.id
        settle(failure(claimed, Result.FAILED if ends else Result.RETRY))
    TaskAttempt.objects.exclude(task_id=young.id).update(finished_at=ago(86400 * 1000))
    Task.objects.filter(id__in=[deleted.id, young.id]).delete()
    assert claims.prune_orphans() == (0, 1)
    assert set(TaskAttempt.objects.values_list("task_id", flat=True)) == {waiting.id, over.id, young.id}


def test_attempts_are_looked_through_batch_by_batch() -> None:
    kept = enqueued(run_at=ahead(100))
    for task_id in (kept.id, 10**9, 10**9 + 1, kept.id, 10**9 + 2):
        TaskAttempt.objects.create(task_id=task_id, attempt=1, finished_at=ago(86400 * 1000))
    ids = list(TaskAttempt.objects.order_by("id").values_list("id", flat=True))
    assert claims.prune_orphans(0, batch=2) == (ids[1], 1)
    assert claims.prune_orphans(ids[1], batch=2) == (ids[3], 1)
    assert claims.prune_orphans(ids[3], batch=2) == (0, 1)
    assert list(TaskAttempt.objects.order_by("id").values_list("id", flat=True)) == [ids[0], ids[3]]


def test_without_an_end_of_all_history_no_attempt_is_too_old(settings: pytest.FixtureRequest) -> None:
    settings.BGTASKS = {"KEEP": {"successful": None, "failed": None, "cancelled": None}}  # type: ignore[attr-defined]
    TaskAttempt.objects.create(task_id=10**9, attempt=1, finished_at=ago(86400 * 1000))
    assert claims.prune_orphans() == (0, 0)


def test_more_queues_than_a_database_follows_at_once_get_their_rows() -> None:
    tenants = {f"tenant:{number}" for number in range(1100)}
    Task.objects.bulk_create(Task.objects.new_task("tests.one", queue=name) for name in tenants)
    Queue.objects.filter(name__in=tenants).delete()
    assert claims.give_rows_to_queues()
    assert set(Queue.objects.values_list("name", flat=True)) >= tenants
    assert not claims.give_rows_to_queues()
