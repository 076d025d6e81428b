"""How a task ended, as a value: decided from its error alone, before anything is written."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bgtasks.exceptions import ClaimLost, InvalidTaskError, TaskCancelled, TaskInterrupted, TaskInterruption
from bgtasks.queue.types import Claim, Outcome, Result
from bgtasks.retries import Backoff, delay_after, heritage_delay

logger = logging.getLogger("bgtasks.execution")

OWN_FRAMES = str(Path(__file__).parent)

ENDINGS: dict[type[TaskInterruption], Result] = {
    TaskInterrupted: Result.RELEASED,
    TaskCancelled: Result.CANCELLED,
    ClaimLost: Result.LOST,
}
"""Interruptions that are no failure of the task. `TaskTimeout` is one."""


def outcome_of(
    error: BaseException | None,
    claim: Claim,
    *,
    duration: float = 0.0,
    max_attempts: int = 25,
    backoff: Backoff | None = None,
    task: Callable[[str], Any] | None = None,
) -> Outcome:
    """Decide how a task ended that raised `error`, or returned. `task` makes what a backoff function is given."""
    if error is None:
        return Outcome(claim, Result.SUCCESSFUL, duration)
    cause = interruption_behind(error) or error
    result = ENDINGS.get(type(cause), Result.RETRY)  # type: ignore[arg-type]
    text = error_text(error)
    if result is not Result.RETRY:
        return Outcome(claim, result, duration, cause, text)
    delay = None
    if claim.attempts < max(1, max_attempts) and not isinstance(error, InvalidTaskError):
        delay = _delay(claim, backoff, error, lambda: task(text) if task else None)
    if delay is None:
        return Outcome(claim, Result.FAILED, duration, error, text)
    return Outcome(claim, Result.RETRY, duration, error, text, retry_in=delay)


def _delay(claim: Claim, backoff: Backoff | None, error: BaseException, task: Callable[[], Any]) -> float | None:
    """Return the seconds until the next attempt, None for no further one; a backoff function may fail as well."""
    try:
        return delay_after(claim.attempts, backoff, error, task() if callable(backoff) else None)
    except BaseException:
        logger.exception(
            "task=%s name=%s its backoff function failed; used the default", claim.task_id, claim.task_name
        )
        return heritage_delay(claim.attempts)


def interruption_behind(error: BaseException) -> TaskInterruption | None:
    """Return the interruption that a task's clean-up hid behind another error, or put into a group of errors."""
    for one in _chain(error):
        if isinstance(one, TaskInterruption):
            return one
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it was raised during or from, and what it groups: each once."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [behind for behind in (one.__cause__, one.__context__) if behind is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def error_text(error: BaseException) -> str:
    """Return the traceback from the task function down."""
    try:
        report = traceback.TracebackException.from_exception(error, compact=True)
        _drop_own_frames(report)
        text = "".join(report.format())
    except Exception:  # noqa: BLE001 - an exception may misbehave in any way while it is printed
        text = f"{type(error).__module__}.{type(error).__qualname__}: its traceback cannot be shown\n"
    return text


def _drop_own_frames(report: traceback.TracebackException) -> None:
    """Leave what a reader can act on: neither our way to the function, nor the signal handler that raised in it."""
    kept = [frame for frame in report.stack if not frame.filename.startswith(OWN_FRAMES)]
    report.stack[:] = kept
    for behind in (report.__cause__, report.__context__):
        if behind is not None:
            _drop_own_frames(behind)
