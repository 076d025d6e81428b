"""Many tasks in one call: in order, all or none, in the caller's transaction, and in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bgtasks import background, signals
from bgtasks.exceptions import TaskArgumentError
from bgtasks.models import CompletedTask, Queue, Status, Task
from bgtasks.tasks import DBTaskRunner, TaskSchedule
from tests.contract.making import ahead, claim, claim_one, live, settle, success

MORE_THAN_TWO_STATEMENTS = 2500


@background(name="tests.number")
def number(value: Any = None, **others: Any) -> None: ...


def numbers(count: int) -> Iterator[tuple[tuple[int], dict[str, Any]]]:
    return (((value,), {}) for value in range(count))


def stored_values() -> dict[int, Any]:
    return {task.id: task.params()[0][0] for task in Task.objects.all()}


@pytest.fixture
def created() -> Iterator[list[Task]]:
    """Collect what `task_created` brings."""
    heard: list[Task] = []

    def receive(task: Task, **others: Any) -> None:
        heard.append(task)

    signals.task_created.connect(receive, sender=DBTaskRunner)
    yield heard
    signals.task_created.disconnect(receive, sender=DBTaskRunner)


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, MORE_THAN_TWO_STATEMENTS])
def test_the_ids_are_in_the_order_of_the_calls(count: int) -> None:
    ids = number.enqueue_many(numbers(count))
    assert ids == sorted(set(ids))
    assert stored_values() == dict(zip(ids, range(count), strict=True))


def test_they_are_claimed_in_the_order_of_the_calls() -> None:
    ids = number.enqueue_many(numbers(1200))
    assert [one.task_id for one in claim(50)] == ids[:50]


def test_no_calls_are_no_tasks_and_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert number.enqueue_many([]) == []


def test_a_thousand_are_one_insert(django_assert_max_num_queries: Any) -> None:
    number.enqueue(0)
    with django_assert_max_num_queries(2) as asked:
        number.enqueue_many(numbers(1000))
    assert sum("INSERT" in query["sql"] for query in asked.captured_queries) == 1


def test_a_row_is_as_one_that_was_enqueued_alone() -> None:
    user = User.objects.create(username="eve")
    task = number.using(
        queue="mail",
        priority=-3,
        run_at=ahead(600),
        max_attempts=3,
        max_run_time=None,
        repeat=60,
        repeat_until=ahead(9000),
        verbose_name="Näme ✓",
        creator=user,
        headers={"trace": "é%s"},
    )
    alone = live(task.enqueue(1, note="x").id)
    (task_id,) = task.enqueue_many([((1,), {"note": "x"})])
    assert row(live(task_id)) == row(alone)
    assert [one.id for one in Task.objects.created_by(user)] == [alone.id, task_id]
    user.delete()


def row(task: Task) -> dict[str, Any]:
    own = {"id", "created_at"}
    return {field.name: getattr(task, field.attname) for field in Task._meta.concrete_fields if field.name not in own}


def test_defaults_are_those_of_one() -> None:
    alone = live(number.enqueue().id)
    (task_id,) = number.enqueue_many([((), {})])
    many = live(task_id)
    assert {**row(many), "run_at": None} == {**row(alone), "run_at": None}
    assert many.run_at == many.created_at
    assert many.run_at >= alone.run_at


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_due_time_decides_between_scheduled_and_ready(seconds: int, created: list[Task]) -> None:
    due = ahead(seconds).replace(microsecond=123456)
    ids = number.using(run_at=due).enqueue_many(numbers(3))
    status = Status.SCHEDULED if seconds > 0 else Status.READY
    assert [(live(one).run_at, live(one).status) for one in ids] == [(due, status)] * 3
    assert [(one.run_at, one.status) for one in created] == [(due, status)] * 3


def test_a_delay_counts_from_the_call() -> None:
    ids = number.using(run_at=timedelta(minutes=5)).enqueue_many(numbers(2))
    assert len({live(one).run_at for one in ids}) == 1
    assert abs(live(ids[0]).run_at - timezone.now() - timedelta(minutes=5)) < timedelta(seconds=30)


def test_arguments_of_all_kinds_survive() -> None:
    texts = ["a\nb", "\\n", "%s %(z)s {} #", "'\"`", "Grüße 🐘", "\x00", "x" * 5000, "", None, 1.5, [1, {"a": []}]]
    ids = number.enqueue_many([((text,), {"other": text}) for text in texts])
    assert [live(one).params() for one in ids] == [([text], {"other": text}) for text in texts]
    assert live(ids[0]).task_hash == number.enqueue("a\nb", other="a\nb").task_hash


def test_arguments_too_long_for_one_packet_go_in_several() -> None:
    long = "\\" * 150_000
    number.enqueue(0)
    with CaptureQueriesContext(connection) as asked:
        ids = number.enqueue_many([((long, at), {}) for at in range(60)])
    assert [live(one).params()[0] for one in ids] == [[long, at] for at in range(60)]
    assert max(len(query["sql"]) for query in asked.captured_queries) < 4_000_000


WRONG = [17, (17,), "ab", ("ab", {}), ((1,), {}, 3), ((1,), [2]), ((1,), {2: 3}), None, ((), None), {"a": 1, "b": 2}]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_what_is_no_pair_of_arguments_is_refused_with_its_position(wrong: Any) -> None:
    with pytest.raises(TaskArgumentError, match=r"tests\.number: calls\[2\] is .*: give a pair of arguments"):
        number.enqueue_many([*numbers(2), wrong])
    assert not Task.objects.exists()


def test_a_call_that_cannot_even_be_shown_is_refused_too() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise LookupError("as asked")

    with pytest.raises(TaskArgumentError, match=r"calls\[0\]"):
        number.enqueue_many([Shy()])  # type: ignore[list-item]


@pytest.mark.parametrize("before", [3, MORE_THAN_TWO_STATEMENTS])
def test_a_bad_call_is_named_with_its_position_and_nothing_is_stored(before: int, created: list[Task]) -> None:
    number.enqueue("first")
    calls = chain(numbers(before), [((object(),), {})], numbers(3))
    with pytest.raises(TaskArgumentError, match=rf"tests\.number: calls\[{before}\]: argument 'value'.*object"):
        number.enqueue_many(calls)
    assert list(stored_values().values()) == ["first"]
    assert len(created) == 1


def test_nothing_is_stored_of_a_call_that_failed_within_a_transaction_that_goes_on(created: list[Task]) -> None:
    with transaction.atomic():
        number.enqueue("before")
        with pytest.raises(TaskArgumentError):
            number.enqueue_many(chain(numbers(MORE_THAN_TWO_STATEMENTS), [((object(),), {})]))
        number.enqueue("after")
    assert list(stored_values().values()) == ["before", "after"]
    assert [one.params()[0] for one in created] == [["before"], ["after"]]


def test_what_the_generator_raises_reaches_the_caller_and_nothing_is_stored() -> None:
    def broken() -> Iterator[Any]:
        yield from numbers(MORE_THAN_TWO_STATEMENTS)
        raise LookupError("as asked")

    with pytest.raises(LookupError, match="as asked"):
        number.enqueue_many(broken())
    assert not Task.objects.exists()


@pytest.mark.parametrize("count", [5, MORE_THAN_TWO_STATEMENTS])
def test_a_rollback_takes_the_tasks_and_the_queues_row_away(count: int, created: list[Task]) -> None:
    mail = number.using(queue="mail")
    with transaction.atomic():
        mail.enqueue_many(numbers(count))
        transaction.set_rollback(True)
    assert not Task.objects.exists()
    assert not Queue.objects.exists()
    assert created == []
    mail.enqueue_many(numbers(2))
    assert [one.name for one in Queue.objects.all()] == ["mail"]


def test_nobody_claims_any_before_the_transaction_is_committed() -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("with one writer at a time the claim waits for the commit")
    with transaction.atomic():
        number.enqueue_many(numbers(MORE_THAN_TWO_STATEMENTS))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(in_a_thread, claim).result() == []
    assert len(claim()) == 1


def test_the_generator_may_read_and_enqueue_while_it_is_read() -> None:
    number.enqueue_many(numbers(1500))

    def again() -> Iterator[Any]:
        for at, task in enumerate(Task.objects.order_by("id").iterator(chunk_size=100)):
            if at % 500 == 0:
                number.enqueue("between")
            yield [task.id], {}

    assert len(number.enqueue_many(again())) >= 1500
    assert list(stored_values().values()).count("between") >= 3


def test_task_created_brings_each_task_as_it_is_stored(created: list[Task]) -> None:
    user = User.objects.create(username="eve")
    ids = number.using(queue="mail", priority=3, creator=user, repeat=60).enqueue_many(numbers(1100))
    assert [one.id for one in created] == ids
    for task in created[:2] + created[-2:]:
        stored = live(task.id)
        assert not task._state.adding
        for field in Task._meta.concrete_fields:
            if field.name != "claim_order":
                assert getattr(task, field.attname) == getattr(stored, field.attname), field.name
        task.save()  # nothing differs from the row, so nothing is written
        assert task.creator == user
    user.delete()


def test_task_created_is_sent_after_the_commit(created: list[Task]) -> None:
    with transaction.atomic():
        number.enqueue_many(numbers(3))
        assert created == []
    assert len(created) == 3


def test_equal_calls_are_as_many_tasks() -> None:
    assert len(set(number.enqueue_many([((1,), {})] * 3))) == 3
    assert Task.objects.count() == 3


def test_check_existing_returns_the_waiting_task_also_one_of_the_same_call() -> None:
    waiting = number.enqueue(1)
    check = number.using(action=TaskSchedule.CHECK_EXISTING)
    ids = check.enqueue_many([((value,), {}) for value in (1, 2, 3, 2)])
    assert (ids[0], ids[3]) == (waiting.id, ids[1])
    assert stored_values() == {waiting.id: 1, ids[1]: 2, ids[2]: 3}


def test_reschedule_existing_moves_what_waits_and_adds_the_rest() -> None:
    waiting = number.enqueue(1)
    due = ahead(500)
    ids = number.using(action=TaskSchedule.RESCHEDULE_EXISTING, run_at=due, priority=4).enqueue_many(numbers(3))
    assert ids[1] == waiting.id
    assert {(one.run_at, one.priority, one.status) for one in Task.objects.all()} == {(due, 4, Status.SCHEDULED)}
    assert stored_values() == dict(zip(ids, range(3), strict=True))


def test_remove_existing_tasks_leaves_the_new_ones_and_what_runs() -> None:
    running = number.enqueue(0)
    claim_one()
    number.enqueue_many([((1,), {}), ((1,), {}), ((7,), {})])
    ids = number.using(remove_existing_tasks=True).enqueue_many(numbers(2))
    assert sorted(stored_values().items()) == sorted({running.id: 0, ids[0]: 0, ids[1]: 1, ids[0] - 1: 7}.items())


@pytest.mark.parametrize("options", [{"action": TaskSchedule.CHECK_EXISTING}, {"remove_existing_tasks": True}])
def test_a_bad_call_stores_nothing_with_an_action_either(options: Any) -> None:
    number.enqueue(1)
    with pytest.raises(TaskArgumentError, match=r"calls\[3\]"):
        number.using(**options).enqueue_many(chain(numbers(3), [((object(),), {})]))
    assert list(stored_values().values()) == [1]


def test_callers_at_the_same_time_get_the_ids_of_their_own_rows() -> None:
    number.enqueue(0)
    Task.objects.all().delete()
    assert_own_ids()


def test_without_returning_the_ids_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features = type(connection.features)
    monkeypatch.setattr(features, "can_return_columns_from_insert", False)  # as on MySQL
    number.enqueue(0)
    Task.objects.all().delete()
    assert_own_ids()


@pytest.mark.parametrize("returns", [True, False])
def test_a_worker_may_be_done_before_the_caller_knows(returns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("with one writer at a time the claim waits for the caller")
    if not returns:
        monkeypatch.setattr(connection.features, "can_return_columns_from_insert", False)  # as on MySQL
    number.enqueue("for the queue's row")

    def work() -> None:
        for one in claim(10):
            settle(success(one))

    def overtake(execute: Any, sql: str, *details: Any) -> Any:
        result = execute(sql, *details)
        if "INSERT INTO bgtasks_task" in sql:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(in_a_thread, work).result()
        return result

    with connection.execute_wrapper(overtake):
        alone = number.enqueue("alone")
        ids = number.enqueue_many(numbers(3))
    assert (alone.status, alone.run_at) == (Status.READY, alone.created_at)
    work()
    assert set(CompletedTask.objects.values_list("id", flat=True)) >= {alone.id, *ids}


def assert_own_ids() -> None:
    def store(caller: int) -> dict[int, Any]:
        ids = number.enqueue_many(([caller, value], {}) for value in range(1500))
        ids.append(number.enqueue(caller, 1500).id)
        return dict(zip(ids, [[caller, value] for value in range(1501)], strict=True))

    with ThreadPoolExecutor(4) as pool:
        told = [one.result() for one in [pool.submit(in_a_thread, store, caller) for caller in range(4)]]
    assert {task.id: task.params()[0] for task in Task.objects.all()} == {k: v for one in told for k, v in one.items()}


def in_a_thread(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    finally:
        connection.close()


def test_without_autocommit_the_caller_commits() -> None:
    connection.set_autocommit(False)
    try:
        number.enqueue("one")
        number.enqueue_many(numbers(MORE_THAN_TWO_STATEMENTS))
        connection.rollback()
        number.enqueue_many(numbers(3))
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert list(stored_values().values()) == [0, 1, 2]
    assert Queue.objects.count() == 1


def test_a_coroutine_does_the_same() -> None:
    ids = async_to_sync(number.aenqueue_many)(numbers(3))
    assert stored_values() == dict(zip(ids, range(3), strict=True))


def test_a_hundred_thousand_take_no_more_memory_than_their_ids_and_a_statement() -> None:
    note = "x" * 100
    number.enqueue(0)
    tracemalloc.start()
    try:
        ids = number.enqueue_many(([value], {"note": note}) for value in range(100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert Task.objects.count() == 100_001
    assert live(ids[99_999]).params()[0] == [99_999]
    assert peak < 8_000_000
