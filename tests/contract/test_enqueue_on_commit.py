"""Enqueueing on commit: the call is checked at once, the row is written when the transaction on `default` commits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from bgtasks import background
from bgtasks.exceptions import TaskArgumentError
from bgtasks.models import Status, Task
from bgtasks.tasks import TaskSchedule


@background(name="tests.later")
def later(value: Any = None, **others: Any) -> None: ...


def values() -> list[Any]:
    return [task.params()[0][0] for task in Task.objects.order_by("id")]


def test_the_row_is_written_at_the_commit() -> None:
    with transaction.atomic():
        assert later.enqueue_on_commit(1, note="x") is None  # type: ignore[func-returns-value]
        assert not Task.objects.exists()
    assert [task.params() for task in Task.objects.all()] == [([1], {"note": "x"})]


def test_outside_of_a_transaction_it_is_written_at_once() -> None:
    later.enqueue_on_commit(1)
    assert values() == [1]
    assert Task.objects.get().status == Status.READY


def test_they_are_written_in_the_order_of_the_calls() -> None:
    with transaction.atomic():
        for value in range(5):
            later.enqueue_on_commit(value)
    assert values() == [0, 1, 2, 3, 4]


def test_a_rollback_leaves_nothing() -> None:
    with transaction.atomic():
        later.enqueue_on_commit(1)
        transaction.set_rollback(True)
    assert not Task.objects.exists()


def test_a_savepoint_that_is_rolled_back_leaves_nothing_of_what_was_asked_in_it() -> None:
    with transaction.atomic():
        later.enqueue_on_commit("outer")
        with transaction.atomic():
            later.enqueue_on_commit("inner")
            transaction.set_rollback(True)
    assert values() == ["outer"]


def test_a_wrong_argument_is_refused_at_the_call() -> None:
    with transaction.atomic():
        with pytest.raises(TaskArgumentError, match=r"tests\.later: argument 'value'.*object"):
            later.enqueue_on_commit(object())
        later.enqueue_on_commit(2)
    assert values() == [2]


def test_the_arguments_are_those_at_the_call() -> None:
    changing = [1]
    with transaction.atomic():
        later.enqueue_on_commit(changing)
        changing.append(2)
    assert values() == [[1]]


def test_options_count_and_a_delay_counts_from_the_call() -> None:
    asked = timezone.now()
    with transaction.atomic():
        later.using(queue="mail", priority=7, run_at=timedelta(hours=1)).enqueue_on_commit(1)
    task = Task.objects.get()
    assert (task.queue, task.priority, task.status) == ("mail", 7, Status.SCHEDULED)
    assert abs(task.run_at - asked - timedelta(hours=1)) < timedelta(seconds=30)


def test_an_action_looks_at_what_waits_at_the_commit() -> None:
    check = later.using(action=TaskSchedule.CHECK_EXISTING)
    with transaction.atomic():
        check.enqueue_on_commit(1)
        check.enqueue_on_commit(1)
        later.enqueue(1)
    assert values() == [1]
