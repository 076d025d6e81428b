"""Calls that a type checker must accept, each with the type it must see. Never run; see test_annotations.py."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from bgtasks import BackgroundTask, TaskContext, TaskSchedule, background, current_context
from bgtasks.models import Task


@background
def bare(order: int, *, note: str = "") -> bool:
    """Make a task without parentheses."""
    return bool(order or note)


@background()
def empty(order: int) -> str:
    return str(order)


@background("name", 60, "mail", True)  # noqa: FBT003 - the heritage's positional form
def positional(order: int) -> None: ...


@background(
    queue="mail",
    schedule={"run_at": timedelta(minutes=5), "priority": 3},
    priority=5,
    max_attempts=3,
    max_run_time=None,
    backoff=[1, timedelta(minutes=1)],
    atomic=True,
    repeat=timedelta(hours=1),
    repeat_until=datetime(2040, 1, 1, tzinfo=UTC),
    verbose_name="all of them",
)
def full(order: int) -> None: ...


@background(backoff=lambda error, task: None if isinstance(error, KeyError) else 5, max_run_time="5m")
async def later(order: int) -> int:
    return order


@background(queue="mail", takes_context=True)
def taking(context: TaskContext, order: int) -> bool:
    return context.should_stop() or bool(order)


def plain(order: int) -> int:
    return order


async def coroutine() -> None:
    assert_type(await bare.aenqueue(1, note="x"), Task)
    assert_type(await bare.aenqueue_many([((1,), {})]), list[int])
    assert_type(await later.now(1), int)


assert_type(bare.enqueue(1), Task)
assert_type(bare.enqueue(order=1, note="x"), Task)
assert_type(bare.enqueue_many([((1,), {}), ([2], {"note": "x"})]), list[int])
assert_type(bare.enqueue_many(((order,), {"note": str(order)}) for order in range(3)), list[int])
bare.enqueue_on_commit(1, note="x")
assert_type(bare.now(1), bool)
assert_type(empty.now(1), str)
waiting: Coroutine[Any, Any, int] = later.now(1)
assert_type(bare(1, schedule=60, queue="mail"), Task | None)
assert_type(bare.schedule, TaskSchedule)
assert_type(bare.queue, str | None)
assert_type(bare.name, str)

varied = bare.using(queue="mail", priority=3, run_at=timedelta(minutes=1), headers={"a": "b"}, max_run_time=None)
assert_type(varied.enqueue(1), Task)
assert_type(varied.now(1), bool)

of_plain = background(plain)
assert_type(of_plain.now(1), int)
assert_type(taking.enqueue(1), Task)
assert_type(taking.enqueue(order=1), Task)
assert_type(taking.now(1), bool)
assert_type(current_context().headers, dict[str, Any])
renamed = background(name="renamed")(plain)
assert_type(renamed.enqueue(1), Task)
function: Callable[..., Any] = renamed.task_function
tasks: list[BackgroundTask[..., Any]] = [bare, empty, positional, full, later, renamed]
