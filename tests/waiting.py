"""Waiting for a condition with a deadline: the only way a test may pass time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], within: float = 10.0, what: str = "") -> T:
    """Return the first true value of `condition()`; after `within` seconds fail, showing what it saw last."""
    deadline = time.monotonic() + within
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or 'the condition'}; last seen: {seen!r}")
        time.sleep(0.02)
