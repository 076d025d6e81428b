"""Calls that a type checker must refuse: each marked line, and no other. Never run; see test_annotations.py."""

from __future__ import annotations

from bgtasks import TaskContext, background, current_context
from bgtasks.models import Task


@background(queue="mail")
def sell(order: int, *, note: str = "") -> bool:
    return bool(order or note)


@background
def bare(order: int) -> str:
    return str(order)


@background(takes_context=True)
def taking(context: TaskContext, order: int) -> bool:
    return context.should_stop() or bool(order)


async def coroutine() -> None:
    await sell.aenqueue("one")  # wrong
    await sell.aenqueue_many([1, 2])  # wrong


sell.enqueue()  # wrong
sell.enqueue("one")  # wrong
sell.enqueue(1, "x")  # wrong
sell.enqueue(1, nota="x")  # wrong
sell.enqueue(1, queue="mail")  # wrong
bare.enqueue(1, 2)  # wrong
sell.enqueue_many([1, 2])  # wrong
sell.enqueue_many([(1,), (2,)])  # wrong
sell.enqueue_many([("ab", {})])  # wrong
sell.enqueue_many([((1,), {2: "x"})])  # wrong
sell.enqueue_on_commit("one")  # wrong
sell.enqueue_on_commit(1, queue="mail")  # wrong
stored: Task = sell.enqueue_on_commit(1)  # wrong
sell.now("one")  # wrong
number: int = bare.now(1)  # wrong
sell.using(queu="mail")  # wrong
sell.using(priority="high")  # wrong
sell.using(run_at=60)  # wrong
sell.using(queue="mail").enqueue("one")  # wrong
background(max_atempts=3)  # wrong
background(max_attempts="three")  # wrong
background(name=5)  # wrong
taking.enqueue(current_context(), 1)  # wrong
taking.enqueue("one")  # wrong
taking.now()  # wrong
background(schedule="tomorrow")  # wrong
background(backoff="slow")  # wrong
sell.name = "other"  # wrong
sell.nothing()  # wrong
