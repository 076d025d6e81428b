"""How long a failed task waits before its next attempt. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

LONGEST_DELAY = 100 * 365 * 86400.0
"""Seconds that any wait is cut to: what no calendar of a database holds could not be written."""
POISON_CRASHES = 3
"""A task whose worker process died this often under it fails, whatever its attempts."""

Delay = float | timedelta
Backoff = Delay | Sequence[Delay] | Callable[[BaseException, Any], Delay | None]
"""Seconds, a timedelta, a sequence of these (the last repeats), or a function of (exception, task)."""


def heritage_delay(attempts: int) -> float:
    """Return `attempts ** 4 + 5` seconds, the formula of django-background-tasks: 6 s, 21 s, 86 s, 261 s …"""
    return min(float(attempts**4 + 5), LONGEST_DELAY)


def delay_after(attempts: int, backoff: Backoff | None, error: BaseException, task: Any) -> float | None:
    """Return the seconds until the next attempt, or None when `backoff` says there shall be none.

    `attempts` already counts the attempt that failed. Raises TypeError if a backoff function returns something else.
    """
    if backoff is None:
        return heritage_delay(attempts)
    if callable(backoff):
        delay = backoff(error, task)
        return None if delay is None else seconds_of(delay)
    if isinstance(backoff, Sequence):
        return seconds_of(backoff[min(attempts, len(backoff)) - 1])
    return seconds_of(backoff)


def seconds_of(delay: Delay) -> float:
    """Return a delay as seconds. Raises TypeError, naming the value, for what is neither number nor timedelta."""
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    if isinstance(delay, (int, float)) and not isinstance(delay, bool) and delay == delay:  # NaN is not itself
        return float(min(max(0.0, delay), LONGEST_DELAY))
    raise TypeError(f"a backoff is seconds, a timedelta or a sequence of these, not {delay!r}")


def read_backoff(value: Any) -> Backoff:
    """Return a backoff with its timedeltas as seconds. Raises TypeError or ValueError, naming what is none."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("an empty sequence is no backoff")
        return [seconds_of(delay) for delay in value]
    return value if callable(value) else seconds_of(value)
