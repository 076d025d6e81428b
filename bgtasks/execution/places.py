"""Coroutines side by side: one event loop for all, in the worker's own thread; it turns whenever the worker waits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakSet

from bgtasks.context import TaskContext, enter, never, nobody
from bgtasks.exceptions import TaskInterruption
from bgtasks.execution.body import call_beside, interrupt
from bgtasks.execution.running import concluded, prepared
from bgtasks.execution.shared_thread import SharedThread
from bgtasks.queue.types import Claim, Outcome
from bgtasks.readable import readable

logger = logging.getLogger("bgtasks.execution")

_here: ContextVar[Place] = ContextVar("bgtasks_place")
"""Whose coroutine runs: what it starts in the loop is its own."""


@dataclass(eq=False)
class Place:
    """One running coroutine, and what became of it."""

    claim: Claim
    sequence: int
    started_at: float
    run: TaskContext
    task: asyncio.Task[Any] | None = None
    begun: WeakSet[asyncio.Task[Any]] = field(default_factory=WeakSet)
    """What it has started in the loop itself."""
    was_asked: bool = False
    """An interrupt was asked for, whatever became of it."""
    reason: type[TaskInterruption] | None = None
    """Why it is to end before its time."""
    value: Any = None
    error: BaseException | None = None
    duration: float = 0.0

    def outcome(self) -> Outcome:
        """Say how it ended: one that failed after it was to end has ended for that reason."""
        error, self.error = self.error, None  # whose traceback leads to a frame that holds this place
        if error is not None and self.reason is not None and not isinstance(error, TaskInterruption):
            cause, error = error, self.reason(self.reason.__doc__)
            error.__cause__ = cause
        return concluded(self.claim, self.value, error, self.duration, self.run.told)


class Places:
    """The places of one worker. Make it in the worker's own process."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken: dict[int, Place] = {}
        """Running coroutines, by the sequence by which they can be interrupted."""
        self.is_leaving: Callable[[], bool] = never
        """Says whether the worker has been told to leave: a task may ask."""
        self.tell: Callable[[Claim, str], object] = nobody
        """Called with what a task tells of its progress, perhaps in another thread."""
        self.on_end: Callable[[], object] = lambda: None
        """Called when one has ended, by the loop."""
        self.shared = SharedThread()
        self._ended: list[Place] = []
        self._orders: deque[tuple[Place, type[TaskInterruption], bool]] = deque()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(self.shared.others)
        self._loop.set_task_factory(_make_task)

    @property
    def free(self) -> int:
        """How many more coroutines may run."""
        return self.count - len(self.taken)

    def start(self, claim: Claim, sequence: int) -> None:
        """Give a coroutine a place; its first line runs when the worker waits."""
        run = TaskContext(claim, lambda: place.was_asked or self.is_leaving(), self.tell)
        place = self.taken[sequence] = Place(claim, sequence, time.monotonic(), run)
        context = self.shared.context.copy()
        context.run(_here.set, place)
        context.run(enter, run)
        try:
            running = _run(place, *context.run(prepared, claim))
        except BaseException as error:  # noqa: BLE001 - its arguments cannot be read
            place.error = error
            self._end(place)
            return
        place.task = self._loop.create_task(running, context=context)
        place.task.add_done_callback(partial(self._end, place))

    def select(self, descriptors: Sequence[int], seconds: float) -> list[int]:
        """Let the coroutines run until one of these descriptors is readable, one has ended, or the time is over."""
        if not self.taken:
            return readable(descriptors, seconds)
        if self._ended:  # whoever has rung for that is to be heard, and not asked again and again
            return readable(descriptors, 0.0)
        found: list[int] = []

        def hear(descriptor: int) -> None:
            found.append(descriptor)
            self._loop.stop()

        for descriptor in descriptors:
            self._loop.add_reader(descriptor, hear, descriptor)
        timer = self._loop.call_later(seconds, self._loop.stop)
        self._turn()
        timer.cancel()
        for descriptor in descriptors:
            self._loop.remove_reader(descriptor)
        return found

    def _turn(self) -> None:
        try:
            self._loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:  # these alone leave a loop, out of what a coroutine has begun
            logger.error("%s left the event loop and is ignored", type(error).__name__, exc_info=error)

    def interrupt(self, sequence: int, reason: type[TaskInterruption]) -> None:
        """Note that a task is to end; call this from a signal handler. The second time raise it, where it computes.

        A coroutine that waits is cancelled by `obey`. One that computes shall not be hit at once: what it has called
        may be the loop, which is everybody's.
        """
        place = self.taken.get(sequence)
        if place is None:
            interrupt(sequence, reason)
            return
        insists, place.was_asked = place.was_asked, True
        if insists:
            place.reason = place.reason or reason
            interrupt(sequence, place.reason)
        self._orders.append((place, reason, insists))

    def obey(self) -> None:
        """Cancel those that are to end, where they wait: what `asyncio` code expects."""
        while self._orders:
            place, reason, insists = self._orders.popleft()
            if place.sequence not in self.taken or place.task is None or (place.reason is not None and not insists):
                continue
            if place.task.cancel():
                place.reason = place.reason or reason

    def outcomes(self) -> list[Outcome]:
        """Return how those ended that have ended since the last call; their places are free."""
        ended, self._ended = self._ended, []
        for place in ended:
            del self.taken[place.sequence]
        return [place.outcome() for place in ended]

    def close(self) -> None:
        """End the loop and its threads. Nothing may run any more."""
        self.shared.close()
        self._loop.close()

    def _end(self, place: Place, task: asyncio.Task[Any] | None = None) -> None:
        if task is not None and task.cancelled():  # before its first line
            place.error = asyncio.CancelledError()
        place.duration = time.monotonic() - place.started_at
        self._ended.append(place)
        self.shared.tidy()
        self._loop.stop()
        self.on_end()


async def _run(place: Place, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Be one of the coroutines. Whatever is raised here stays here."""
    try:
        place.value = await call_beside(place.sequence, partial(_with_what_it_begins, place, function), args, kwargs)
    except BaseException as error:  # noqa: BLE001 - SystemExit and the like are failures of the task
        place.error = error


async def _with_what_it_begins(place: Place, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await it, then end what it has left in the loop, as `asyncio.run` does: that has no place of its own."""
    try:
        return await function(*args, **kwargs)
    finally:
        left = [task for task in place.begun if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.gather(*left, return_exceptions=True)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, **options)
    place = _here.get(None)
    if place is not None:
        place.begun.add(task)
    return task
