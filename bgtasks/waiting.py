"""Waiting until a task is over: woken by whoever settles it, where that can be heard, and by looking now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from asgiref.sync import sync_to_async

from bgtasks import conf
from bgtasks.waking import Ear

T = TypeVar("T")

FIRST, LONGEST = 0.005, 0.25
FIRST_IF_HEARD, LONGEST_IF_HEARD = 0.05, 0.5
"""Seconds between two looks, each pause half as long again as the one before; and where we may hear of the end."""


def wait_until_over(task_id: int, look: Callable[[], T | None], timeout: float | None) -> T:
    """Return what `look` finds as soon as that is something. Raises TimeoutError, or what `look` raises."""
    with Ear(task_id, is_wanted=conf.current().wake) as ear:
        pauses = _pauses(timeout, is_heard=ear.hears)
        while (found := look()) is None:
            ear.sleep(_next(pauses, task_id, timeout))
    return found


async def await_until_over(task_id: int, look: Callable[[], T | None], timeout: float | None) -> T:
    """Do the same in a coroutine: others run meanwhile, and no thread is held but for a look."""
    with Ear(task_id, is_wanted=conf.current().wake) as ear:
        pauses, alook = _pauses(timeout, is_heard=ear.hears), sync_to_async(look)
        while (found := await alook()) is None:
            await ear.asleep(_next(pauses, task_id, timeout))
    return found


def _next(pauses: Iterator[float], task_id: int, timeout: float | None) -> float:
    pause = next(pauses, None)
    if pause is None:
        raise TimeoutError(f"task {task_id} is not over after {timeout:g} s")
    return pause


def _pauses(timeout: float | None, *, is_heard: bool) -> Iterator[float]:
    """Yield pauses until the time is over; the last one ends with it."""
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    pause, longest = (FIRST_IF_HEARD, LONGEST_IF_HEARD) if is_heard else (FIRST, LONGEST)
    while (left := deadline - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(longest, pause * 1.5)
