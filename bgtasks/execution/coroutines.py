"""Running a coroutine function as a task: an event loop of its own in this thread, where an interrupt reaches it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import AsyncToSync, ThreadSensitiveContext, async_to_sync, sync_to_async

from bgtasks.execution.connections import close_connections

LAST_INSTRUCTIONS = 0.05
"""Seconds for threads that are about to end, as those of asgiref are; what a task started itself may stay."""


def run_coroutine(function: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any) -> Any:
    """Call a coroutine function, run what it returns to its end, and return that value.

    A worker does not use `async_to_sync`: it runs the loop in another thread, where no interrupt would end it. What is
    raised here by an interrupt leaves the loop, which then cancels the coroutine: its `finally` blocks run.
    """
    if getattr(AsyncToSync.executors, "current", None) is not None:
        return async_to_sync(function)(*args, **kwargs)  # below somebody's event loop: no worker, a task run in process
    before = set(threading.enumerate())
    try:
        with asyncio.Runner() as runner:
            return runner.run(_in_one_context(function, args, kwargs))
    finally:
        for thread in set(threading.enumerate()) - before:
            thread.join(LAST_INSTRUCTIONS)


async def _in_one_context(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Have what is synchronous in it, the ORM above all, run in one thread that ends with it, and its connections."""
    async with ThreadSensitiveContext():
        try:
            return await function(*args, **kwargs)
        finally:
            await sync_to_async(close_connections)()
