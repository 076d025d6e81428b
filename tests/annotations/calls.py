"""Calls that a type checker must accept, and wrong ones that it must refuse. Read by mypy, never run.

An `ignore` that is not needed is an error itself (`warn_unused_ignores`), so each wrong call proves that it is found.
"""

from datetime import timedelta

from bgtasks import background
from bgtasks.models import Task


@background
def plain(order_id: int) -> str:
    return str(order_id)


@background(queue="mail", priority=5, max_attempts=3, backoff=[1, 5], max_run_time=30, repeat=timedelta(days=1))
def with_options(address: str, *, copy: bool = False) -> None: ...


def right() -> None:
    task: Task = plain.enqueue(1)
    plain.enqueue(order_id=task.pk)
    text: str = plain.now(1)
    with_options.using(queue="bulk", run_at=timedelta(hours=1)).enqueue(text, copy=True)
    maybe: Task | None = plain(1, schedule=60)
    assert maybe


async def right_in_a_coroutine() -> None:
    task: Task = await plain.aenqueue(1)
    assert task


def wrong() -> None:
    plain.enqueue("one")  # type: ignore[arg-type]
    plain.enqueue()  # type: ignore[call-arg]
    plain.enqueue(1, queue="mail")  # type: ignore[call-arg]
    with_options.enqueue("a@example.com", True)  # type: ignore[call-arg]
    with_options.using(prioritty=5)  # type: ignore[call-arg]
    with_options.using(queue=5)  # type: ignore[arg-type]
    number: int = plain.now(1)  # type: ignore[assignment]
    assert number


@background(max_attempts="many")  # type: ignore[call-overload, untyped-decorator]
def wrong_option() -> None: ...
