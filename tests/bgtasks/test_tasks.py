"""The typed way to enqueue, variations by `using`, transactions, and `task_created`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from bgtasks import background, registry, signals
from bgtasks.models import Task
from bgtasks.task_options import DecoratorOptions
from bgtasks.tasks import DBTaskRunner

pytestmark = pytest.mark.usefixtures("own_registry")


@pytest.fixture
def created() -> Iterator[list[Any]]:
    seen: list[Any] = []

    def note(sender: Any, task: Task, **kwargs: Any) -> None:
        seen.append((sender, task.pk))

    signals.task_created.connect(note)
    yield seen
    signals.task_created.disconnect(note)


def sell(order: int, schedule: str = "", queue: str = "") -> int:
    return order


@pytest.mark.django_db
def test_enqueue_passes_every_argument_to_the_function() -> None:
    task = background(sell).enqueue(1, schedule="now", queue="front")
    stored = Task.objects.get(pk=task.pk)
    assert stored.params() == ([1], {"schedule": "now", "queue": "front"})
    assert stored.queue == "default"


@pytest.mark.django_db
def test_using_varies_a_copy_and_leaves_the_original_alone() -> None:
    task = background(queue="mail", schedule=60)(sell)
    varied = task.using(
        queue="slow",
        priority=5,
        run_at=timedelta(minutes=10),
        verbose_name="sell it",
        repeat=60,
        repeat_until=datetime(2040, 1, 1, tzinfo=UTC),
        headers={"traceparent": "00-ab"},
        max_attempts=2,
        max_run_time=None,
    )
    stored = varied.enqueue(1)
    stored.refresh_from_db()
    assert 590 < (stored.run_at - timezone.now()).total_seconds() < 601
    assert (stored.queue, stored.priority, stored.verbose_name, stored.repeat) == ("slow", 5, "sell it", 60)
    assert (stored.headers, stored.max_attempts, stored.max_run_time) == ('{"traceparent": "00-ab"}', 2, 0)
    assert (task.queue, task.options.verbose_name, task.options.max_attempts) == ("mail", None, None)
    assert registry.get(task.name) is task


@pytest.mark.django_db
def test_using_builds_upon_using_and_wins_over_the_decorator() -> None:
    task = background(schedule={"run_at": 60, "priority": 1})(sell)
    stored = task.using(priority=7).using(run_at=timedelta(0)).using(queue="a").enqueue(1)
    assert (stored.priority, stored.queue) == (7, "a")
    assert stored.run_at <= timezone.now()


def test_a_task_cannot_be_changed_in_place() -> None:
    task: Any = background(sell)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.name = "other"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"run_at": 60}, TypeError),
        ({"run_at": "now"}, TypeError),
        ({"queu": "mail"}, TypeError),
        ({"priority": 1.5}, TypeError),
        ({"max_attempts": -1}, ValueError),
        ({"action": 7}, ValueError),
        ({"headers": {"a": object()}}, TypeError),
        ({"headers": {1: "a"}}, TypeError),
        ({"headers": "a"}, TypeError),
        ({"repeat": 1.5}, ValueError),
    ],
)
def test_using_refuses_what_cannot_be_naming_the_task_and_the_option(given: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        background(sell).using(**given)
    assert f"{__name__}.sell" in str(caught.value)
    assert next(iter(given)) in str(caught.value)


@pytest.mark.django_db
def test_none_means_not_given_in_using() -> None:
    task = background(queue="mail", max_attempts=3, schedule=60)(sell)
    same = task.using(queue=None, priority=None, run_at=None, max_attempts=None, headers=None, creator=None)
    assert same.options == task.options


@pytest.mark.django_db(transaction=True)
def test_aenqueue_does_the_same_from_a_coroutine() -> None:
    stored = async_to_sync(background(sell).aenqueue)(3)
    assert Task.objects.get().pk == stored.pk


def test_a_coroutine_function_is_a_task_too() -> None:
    async def later(number: int) -> int:
        return number * 2

    assert asyncio.run(background(later).now(4)) == 8


@pytest.mark.parametrize(("given", "meant"), [("qeue", "queue"), ("take_context", "takes_context"), ("nmae", "name")])
def test_a_misspelt_option_of_the_decorator_is_refused_with_the_near_one(given: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected option '{given}': did you mean '{meant}'\\?"):
        background(**{given: "x"})  # type: ignore[call-overload]


def test_an_option_like_no_other_is_refused_with_all_that_the_decorator_takes() -> None:
    *named, options = signature(background).parameters
    assert options == "options"
    with pytest.raises(TypeError) as refused:
        background(colour="blue")  # type: ignore[call-overload]
    taken = str(refused.value).partition("it takes ")[2].split(", ")
    assert sorted(taken) == sorted([*named, *DecoratorOptions.__annotations__])


@pytest.mark.parametrize("value", [5, classmethod(sell)])
def test_what_is_neither_function_nor_name_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a string, or a function to decorate"):
        background(value)


@pytest.mark.django_db(transaction=True)
def test_a_rollback_removes_the_task_and_nothing_is_announced(created: list[Any]) -> None:
    with transaction.atomic():
        background(sell).enqueue(1)
        transaction.set_rollback(True)
    assert not Task.objects.exists()
    assert created == []


@pytest.mark.django_db(transaction=True)
def test_task_created_is_sent_once_after_the_commit(created: list[Any]) -> None:
    with transaction.atomic():
        task = background(sell).enqueue(1)
        assert created == []
    assert created == [(DBTaskRunner, task.pk)]
    other: Any = background(sell)(2)
    assert created[1:] == [(DBTaskRunner, other.pk)]


@pytest.mark.django_db(transaction=True)
def test_task_created_is_not_sent_for_a_hit_on_a_waiting_task(created: list[Any]) -> None:
    check = background(schedule={"action": 2})(sell)
    check(1)
    check(1)
    check.enqueue(1)
    assert len(created) == 1


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_raises_harms_neither_the_caller_nor_the_task() -> None:
    def raising(**kwargs: Any) -> None:
        raise RuntimeError("as asked")

    signals.task_created.connect(raising)
    try:
        with transaction.atomic():
            background(sell).enqueue(1)
    finally:
        signals.task_created.disconnect(raising)
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_enqueueing_costs_one_statement_once_its_queue_is_known(django_assert_num_queries: Any) -> None:
    task = background(sell)
    task.enqueue(1)
    with django_assert_num_queries(1):
        task.enqueue(2)
