"""A task's own function on the stack: the only place an interrupt can hit, and one that a forked copy cannot leave."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import isasyncgenfunction, isgeneratorfunction
from types import CoroutineType, FrameType
from typing import Any

from bgtasks.exceptions import InvalidTaskError, TaskInterruption

EXIT_OF_A_COPY = 70
"""A task forked, and the copy came back: there is one worker, and it is not the copy."""

_order: tuple[int, type[TaskInterruption]] | None = None
"""The last interrupt asked for. Sequences are never used twice, so one that came too late means nothing to anybody."""
_is_looking = False


def call(sequence: int, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a task's function. An interrupt for this sequence is raised inside of that call or not at all."""
    # Nothing here may be written in Python: whatever runs in this frame runs when no interrupt can come any more.
    pid = os.getpid()
    try:
        return _body(sequence, function, args, kwargs)
    finally:
        if os.getpid() != pid:
            os._exit(EXIT_OF_A_COPY)


def _body(sequence: int, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Mark the stack: as long as this frame stands, what is raised by `interrupt` ends in `call`."""
    if _order is not None and _order[0] == sequence != 0:
        raise _order[1](_order[1].__doc__)
    return function(*args, **kwargs)


def is_interrupted(sequence: int) -> bool:
    """Say whether an interrupt was asked for in the task of that sequence, whatever became of it."""
    return _order is not None and _order[0] == sequence != 0


async def call_beside(
    sequence: int, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Await a task's coroutine function; the same for one of several that take turns in an event loop."""
    pid = os.getpid()
    try:
        return await _body_beside(sequence, function, args, kwargs)
    finally:
        if os.getpid() != pid:
            os._exit(EXIT_OF_A_COPY)


async def _body_beside(
    sequence: int, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Mark the stack whenever it is the turn of this one."""
    if _order is not None and _order[0] == sequence != 0:
        raise _order[1](_order[1].__doc__)
    return await function(*args, **kwargs)


def refuse_unrun(value: Any, function: Callable[..., Any]) -> None:
    """Raise InvalidTaskError if calling the function has only made an object that would run it: nothing was done."""
    if isinstance(value, CoroutineType):
        value.close()  # or Python warns that nobody awaited it
        raise InvalidTaskError(
            "the task returned a coroutine, which nobody awaits: write it as `async def`, or run the coroutine in it"
        )
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise InvalidTaskError("the task is a generator function: nothing runs it, so write it without yield")


def interrupt(sequence: int, reason: type[TaskInterruption]) -> None:
    """Raise `reason` in the task of that sequence if its function is running now; call this from a signal handler.

    A signal handler runs on top of whatever the main thread was doing, between any two instructions: only the stack
    itself tells whether that was the task. One that comes before the function has begun is kept and raised at its
    start; one that comes after its end is void. Sequence 0 cannot be interrupted.
    """
    global _order, _is_looking
    _order = (sequence, reason)
    if _is_looking or sequence == 0:
        return  # signals that come faster than they are handled must not pile up on the stack
    _is_looking = True
    try:
        found = _is_on_the_stack(sequence)
    finally:
        _is_looking = False
    if found:
        raise reason(reason.__doc__)


def _is_on_the_stack(sequence: int) -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        # Not in a set: to hash a code object takes longer than all the rest.
        if (frame.f_code is _body.__code__ or frame.f_code is _body_beside.__code__) and frame.f_locals[
            "sequence"
        ] == sequence:
            return True
        frame = frame.f_back
    return False
