"""Tasks of `django.tasks`: these are found by importing their path."""

from __future__ import annotations

import asyncio
from typing import Any

from bgtasks import task
from tests.project.tasks import note


def sooner(error: BaseException, result: Any) -> float | None:
    """Say in how many seconds to try again: at once, until the third attempt."""
    note("backoff", kind=type(error).__name__, attempts=result.attempts, errors=len(result.errors))
    return 0 if result.attempts < 3 else None


@task
def add(a: int, b: int) -> dict[str, int]:
    note("add", a=a, b=b)
    return {"sum": a + b}


@task(takes_context=True)
def tell(context: Any) -> list[Any]:
    return [context.attempt, context.task_result.id, context.task_result.status]


@task(takes_context=True, backoff=0)
def tell_headers(context: Any, *, fails: int = 0) -> list[Any]:
    context.progress(context.attempt, 3, "trying")
    if context.attempt <= fails:
        raise ValueError("again")
    return [context.headers, context.should_stop()]


@task(max_attempts=5, backoff=sooner)
def stubborn() -> None:
    raise ValueError("so it is")


@task(backend="once", queue_name="mail")
def fragile(how: str) -> Any:
    if how == "raise":
        raise KeyError(how)
    if how == "exit":
        raise SystemExit(3)
    return object() if how == "odd value" else how


@task
async def later(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@task(max_run_time=1, max_attempts=1)
async def endless() -> None:
    await asyncio.sleep(3600)


no_task = add.func
"""What a row may not name."""
