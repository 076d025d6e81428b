"""What becomes of the task that a dead worker was running. Pure, but for the settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bgtasks import conf
from bgtasks.exceptions import TaskCancelled, TaskTimeout, WorkerDied
from bgtasks.models import Status
from bgtasks.queue.types import Ending
from bgtasks.retries import POISON_CRASHES, delay_after, heritage_delay

logger = logging.getLogger("bgtasks.queue")


@dataclass(frozen=True, slots=True)
class Held:
    """One row that a dead worker held."""

    task_id: int
    token: int
    attempts: int
    crashes: int
    max_attempts: int | None

    @property
    def has_attempts_left(self) -> bool:
        """Whether another attempt is allowed; 0 and 1 both mean one in all."""
        allowed = conf.current().max_attempts if self.max_attempts is None else self.max_attempts
        return self.attempts < max(1, allowed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """READY or SCHEDULED (after `delay` seconds) or an ending, and whether attempt and crash count."""

    status: Status
    delay: float = 0.0
    is_charged: bool = True
    is_crash: bool = False
    reason: str = ""


def verdict(ending: Ending, held: Held, reason: str) -> Verdict:
    """Return what becomes of the running task: the table of releases."""
    if ending in (Ending.STOPPED, Ending.LEASE_LOST):
        return Verdict(Status.READY, is_charged=False)
    if ending is Ending.CANCELLED:
        return Verdict(Status.CANCELLED, reason=reason)
    is_crash = ending is not Ending.OPERATOR
    crashes = held.crashes + is_crash
    if is_crash and crashes >= POISON_CRASHES:
        return Verdict(Status.FAILED, is_crash=True, reason=f"poison: its worker died {crashes} times; last: {reason}")
    # The first crash is usually not the task's fault.
    at_once = ending is Ending.CRASHED and crashes == 1
    delay = 0.0 if at_once else _delay(held.attempts, reason)
    if not held.has_attempts_left or delay is None:
        return Verdict(Status.FAILED, is_crash=is_crash, reason=reason)
    return Verdict(Status.SCHEDULED if delay else Status.READY, delay, is_crash=is_crash, reason=reason)


def exception_of(ending: Ending) -> str:
    """Return the exception that stands in the record of the attempt."""
    kind = {Ending.LIMIT: TaskTimeout, Ending.CANCELLED: TaskCancelled}.get(ending, WorkerDied)
    return f"{kind.__module__}.{kind.__qualname__}"


def _delay(attempts: int, reason: str) -> float | None:
    """Return the retry delay of the settings: a decorator's is unknown here. None: no further attempt."""
    backoff = conf.current().backoff
    try:
        return delay_after(attempts, backoff, WorkerDied(reason), None)
    except Exception:
        logger.exception("BGTASKS['BACKOFF'] raised; the default delay is used")
        return heritage_delay(attempts)
