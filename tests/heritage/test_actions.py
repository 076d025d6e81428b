"""COMPATIBILITY 1.5: the three actions, remove_existing_tasks, and callers that race."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bgtasks import background, calls
from bgtasks.models import Task
from bgtasks.tasks import TaskSchedule

CHECK = {"action": TaskSchedule.CHECK_EXISTING}
MOVE = {"run_at": 600, "priority": 9, "action": TaskSchedule.RESCHEDULE_EXISTING}


def sell(order: Any = None) -> None: ...


@pytest.fixture
def task() -> Any:
    return background(name="sell")(sell)


@pytest.mark.django_db
def test_the_same_call_twice_runs_twice(task: Any) -> None:
    assert task(1).pk != task(1).pk
    assert Task.objects.count() == 2


@pytest.mark.django_db
def test_check_existing_finds_a_waiting_equal(task: Any) -> None:
    assert task(1, schedule=CHECK) is not None
    assert task(1, schedule=CHECK) is None
    assert task(1, schedule={**CHECK, "run_at": 60}, priority=5, queue=None) is None
    assert task(2, schedule=CHECK) is not None
    assert Task.objects.count() == 2


@pytest.mark.django_db
def test_the_queue_counts_only_if_call_or_decorator_named_it(task: Any) -> None:
    task(1, queue="mail")
    assert task(1, schedule=CHECK) is None
    assert task(1, schedule=CHECK, queue="other") is not None
    assert task(1, schedule=CHECK, queue="mail") is None
    named = background(name="sell", queue="third")(sell)
    assert named(1, schedule=CHECK) is not None
    assert named(1, schedule=CHECK) is None


@pytest.mark.django_db
def test_reschedule_moves_all_waiting_equals_and_changes_nothing_else(task: Any) -> None:
    first, second, other = task(1, verbose_name="a"), task(1, schedule=60, queue="mail"), task(2)
    assert task(1, schedule=MOVE, verbose_name="b", repeat=60) is None
    for moved in Task.objects.filter(pk__in=[first.pk, second.pk]):
        assert 590 < (moved.run_at - timezone.now()).total_seconds() < 601
        assert (moved.priority, moved.repeat) == (9, 0)
    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.verbose_name, other.priority) == ("a", 0)
    assert task(3, schedule=MOVE) is not None


@pytest.mark.django_db
def test_reschedule_of_one_queue_leaves_the_others(task: Any) -> None:
    task(1, queue="mail")
    task(1)
    assert task(1, schedule=MOVE, queue="mail") is None
    assert sorted(Task.objects.values_list("queue", "priority")) == [("default", 0), ("mail", 9)]


@pytest.mark.django_db
def test_remove_existing_deletes_every_waiting_equal_whatever_its_queue(task: Any) -> None:
    task(1)
    task(1, schedule=600, queue="mail", repeat=60)
    other = task(2)
    last = task(1, remove_existing_tasks=True)
    assert sorted(Task.objects.values_list("pk", flat=True)) == [other.pk, last.pk]


@pytest.mark.django_db
def test_with_an_action_the_removal_wins(task: Any) -> None:
    first = task(1)
    for action in (CHECK, MOVE):
        inserted = task(1, schedule=action, remove_existing_tasks=True)
        assert inserted.pk != first.pk
        assert Task.objects.get() == inserted


@pytest.mark.django_db(transaction=True)
def test_a_removal_rolled_back_leaves_the_old_task(task: Any) -> None:
    first = task(1)
    with transaction.atomic():
        task(1, remove_existing_tasks=True)
        transaction.set_rollback(True)
    assert Task.objects.get() == first


@pytest.mark.django_db
def test_enqueue_returns_the_waiting_task_on_a_hit(task: Any) -> None:
    first = task.using(action=TaskSchedule.CHECK_EXISTING).enqueue(1)
    assert task.using(action=TaskSchedule.CHECK_EXISTING).enqueue(1) == first
    moved = task.using(action=TaskSchedule.RESCHEDULE_EXISTING, run_at=timedelta(hours=1), priority=4).enqueue(1)
    assert (moved, moved.priority) == (first, 4)


@pytest.mark.django_db
def test_enqueue_returns_the_hit_of_the_queue_it_named(task: Any) -> None:
    task(1)
    mail = task.using(action=TaskSchedule.CHECK_EXISTING, queue="mail")
    first = mail.enqueue(1)
    assert first.queue == "mail"
    assert mail.enqueue(1) == first


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", [TaskSchedule.CHECK_EXISTING, TaskSchedule.RESCHEDULE_EXISTING])
def test_eight_callers_racing_leave_one_task(task: Any, action: int) -> None:
    made: list[Any] = []
    errors: list[BaseException] = []
    ready = threading.Barrier(8)

    def call() -> None:
        try:
            ready.wait(10)
            made.extend(task(order, schedule={"run_at": 60, "action": action}) for order in range(5))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Task.objects.count() == sum(one is not None for one in made) == 5


@pytest.mark.django_db
def test_enqueue_stores_rather_than_loop_for_ever_when_the_hit_cannot_be_seen(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = task.using(action=TaskSchedule.CHECK_EXISTING)
    first = check.enqueue(1)
    monkeypatch.setattr(calls, "_waiting_like", lambda *args: None)
    assert check.enqueue(1) != first
    assert Task.objects.count() == 2
