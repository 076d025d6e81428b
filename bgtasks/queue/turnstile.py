"""A lock file that lets the writers of this host take turns at an SQLite database, those who waited longest first."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT = 5.0
"""Seconds; then a writer goes on without: a process that was stopped while it held the lock shall not stop them all."""
FIRST_PAUSE = 0.002
HALVED_AFTER = 0.02
"""Seconds. The longer one has waited the more often it looks: the kernel's own queue cannot be left in time."""
SHORTEST_PAUSE = 0.0002


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock file, opened anew each time: a descriptor kept would be shared across a fork, lock and all.

    Correctness never rests on it, only fairness does. So nothing is raised where files may not be created.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        yield
        return
    try:
        _wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    """Return with the lock, or without it when the time is over."""
    if _is_taken(descriptor):
        return
    began = time.monotonic()
    while (waited := time.monotonic() - began) < LONGEST_WAIT:
        time.sleep(max(SHORTEST_PAUSE, FIRST_PAUSE / (1 + waited / HALVED_AFTER)))
        if _is_taken(descriptor):
            return


def _is_taken(descriptor: int) -> bool:
    """Try once to get the lock; a file system without locks gives it to everybody."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
