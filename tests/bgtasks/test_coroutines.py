"""Coroutine functions as tasks: what they may use, how they end, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from bgtasks import background
from bgtasks.compat import in_process
from bgtasks.exceptions import TaskTimeout
from bgtasks.execution import execute, interrupt
from bgtasks.execution.places import Places
from bgtasks.management.foreground.bell import Bell
from bgtasks.models import CompletedTask, Queue, Status, Task
from bgtasks.queue import claims
from bgtasks.queue.types import Claim, Outcome, Result
from bgtasks.worker.loop import SEQUENCES

pytestmark = pytest.mark.django_db(transaction=True)


def claimed(task: Any, *args: Any) -> Claim:
    """Enqueue a task and claim it."""
    task.enqueue(*args)
    claim = claims.take_next(in_process.holder())
    assert claim is not None
    return claim


def test_a_coroutine_runs_to_its_end_with_the_orm_and_leaves_no_thread_and_no_connection() -> None:
    seen: list[Any] = []

    @background
    async def count(name: str) -> None:
        await asyncio.sleep(0)
        await Queue.objects.acreate(name=name)
        seen.append(await sync_to_async(lambda: connections["default"].connection)())

    threads = threading.active_count()
    outcome = execute(claimed(count, "made-in-a-coroutine"))
    assert outcome.result is Result.SUCCESSFUL, outcome.error_text
    assert Queue.objects.filter(name="made-in-a-coroutine").exists()
    assert len(seen) == 1
    assert threading.active_count() == threads


def test_its_error_and_its_own_timeout_are_failed_attempts_from_its_first_line_on() -> None:
    @background
    async def impatient() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    outcome = execute(claimed(impatient))
    assert (outcome.result, type(outcome.error)) == (Result.RETRY, TimeoutError)
    assert "async with asyncio.timeout(0.01)" in outcome.error_text


async def wait_for_ever(where: str) -> None:
    """Stand still in one of three ways."""
    if where == "in a thread":
        await sync_to_async(time.sleep)(1)
    while where == "computing":
        pass
    await asyncio.sleep(60)


@contextmanager
def interrupted(sequence: int, after: float) -> Iterator[None]:
    """Have a signal interrupt the task of this sequence, as the supervisor's does."""
    previous = signal.signal(signal.SIGUSR1, lambda *_: interrupt(sequence, TaskTimeout))
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, previous)


@pytest.mark.parametrize("where", ["waiting", "computing", "in a thread"])
def test_an_interrupt_ends_it_wherever_it_stands_and_its_clean_up_runs(where: str) -> None:
    done: list[str] = []

    @background(max_attempts=3)
    async def endless() -> None:
        try:
            await wait_for_ever(where)
        finally:
            done.append("cleaned up")

    claim, sequence, began = claimed(endless), next(SEQUENCES), time.monotonic()
    with interrupted(sequence, after=0.3):
        outcome = execute(claim, sequence)
    assert (outcome.result, type(outcome.error)) == (Result.RETRY, TaskTimeout)
    assert done == ["cleaned up"]
    assert time.monotonic() - began < 30


@pytest.fixture
def bell() -> Iterator[Bell]:
    made = Bell()
    yield made
    made.close()


@pytest.fixture
def places(bell: Bell) -> Iterator[Places]:
    """Two places, as a worker without a supervisor has them."""
    made = Places(2)
    bell.select, made.on_end = made.select, bell.ring
    yield made
    made.close()


def test_who_waits_for_one_of_several_coroutines_hears_of_its_end_at_once(bell: Bell, places: Places) -> None:
    looks: list[float] = []

    @background
    async def short() -> None:
        await asyncio.sleep(0.05)

    @background
    async def long() -> None:
        await asyncio.sleep(3600)

    def select(descriptors: Sequence[int], seconds: float) -> list[int]:
        looks.append(seconds)
        return places.select(descriptors, seconds)

    bell.select = select
    for task in (short, long):
        sequence = next(SEQUENCES)
        places.start(claimed(task), sequence)
    for expected in (Result.SUCCESSFUL, Result.RETRY):
        assert bell.sleep(60)
        (ended,) = places.outcomes()
        assert ended.result is expected, ended.error_text
        assert len(looks) <= 2, "one that lets them run, and one for the ring"
        places.interrupt(sequence, TaskTimeout)
        places.obey()
        looks.clear()


def test_a_transaction_around_a_coroutine_is_refused_and_the_setting_does_not_mean_it(settings) -> None:
    async def later() -> None: ...

    with pytest.raises(TypeError, match="atomic=True: it is a coroutine function"):
        background(atomic=True)(later)
    settings.BGTASKS = {"ATOMIC": True}
    assert background(later).atomic is False


def settled(task: Any, *args: Any) -> Outcome:
    """Run a task to its end."""
    return in_process.run(claimed(task, *args))


def test_a_return_value_is_kept_where_the_decorator_asks_for_it() -> None:
    @background(keep_result=True)
    async def total(month: str) -> dict[str, Any]:
        return {"month": month, "sums": (1, 2)}

    waiting = total.enqueue("May")
    with pytest.raises(LookupError, match="is not over yet"):
        total.return_value(waiting.pk)
    in_process.run_next()
    assert total.return_value(waiting.pk) == {"month": "May", "sums": [1, 2]}
    assert CompletedTask.objects.get().status is Status.SUCCESSFUL


def test_what_returned_nothing_is_kept_as_nothing_and_of_others_there_is_none() -> None:
    @background(keep_result=True)
    def silent() -> None: ...

    @background
    def careless() -> int:
        return 17

    over = settled(silent).claim.task_id
    assert silent.return_value(over) is None
    with pytest.raises(LookupError, match=r"is a .*silent, not a .*careless"):
        careless.return_value(over)
    with pytest.raises(LookupError, match=r"was not kept: write @background\(keep_result=True\)"):
        careless.return_value(settled(careless).claim.task_id)
    with pytest.raises(LookupError, match="unknown here, or pruned"):
        careless.return_value(10**9)


@pytest.mark.parametrize(("value", "message"), [
    ({1, 2}, r"its return value cannot be stored as JSON: .*pass sorted\(value\)"),
    (float("nan"), "JSON has no NaN"),
    ("x" * 2**20, "its return value has 1,048,578 bytes of JSON; at most 1,048,576 are kept"),
])  # fmt: skip
def test_a_return_value_that_cannot_be_kept_is_a_failed_attempt(value: Any, message: str) -> None:
    @background(keep_result=True, name="unkept")
    def unkept() -> Any:
        return value

    outcome = settled(unkept)
    assert outcome.result is Result.RETRY
    with pytest.raises(TypeError, match=message):
        raise outcome.error
    assert Task.objects.get().attempts == 1
