"""Starting a child process: signals blocked across the fork, and nothing of the parent enclosing the child."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from bgtasksd.exit_codes import EXIT_SOFTWARE

KEPT_IGNORED = {signal.SIGPIPE, signal.SIGXFSZ}
"""Ignored as Python has them: with the default action a lost database connection kills instead of raising."""

Mask = set[Any]


def fork(body: Callable[[Mask], int]) -> int:
    """Fork a child that runs `body` with every signal blocked and ends with its result; return the child's pid.

    `body` gets the mask that was in force and restores it as soon as its own handlers stand.
    Raises OSError when there is no process to be had.
    """
    count = thread_count()
    assert count == 1, f"fork in a process with {count} threads"
    flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _live(body, mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _live(body: Callable[[Mask], int], mask: Mask) -> None:
    """Be the child: never return into the parent's frames."""
    code = EXIT_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        reset_signals()
        code = body(mask)
    except BaseException:  # noqa: BLE001 - also SystemExit: the child must not unwind into its parent
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        leave(code)


def leave(code: int) -> None:
    """End this process now, so that neither left-over threads nor a full stdout can hold it."""
    try:
        flush()
    finally:
        os._exit(code)


def flush() -> None:
    """Write out what is buffered in the standard streams and the log; what cannot be written is lost."""
    streams = [sys.stdout, sys.stderr, *_log_streams()]
    for stream in streams:
        with contextlib.suppress(Exception):
            stream.flush()


def _log_streams() -> list[logging.Handler]:
    return [handler for reference in list(logging._handlerList) if (handler := reference()) is not None]  # type: ignore[attr-defined]


def reset_signals() -> None:
    """Give every signal its default action; never SIG_IGN, which a task's own subprocesses would inherit."""
    for number in signal.valid_signals():
        if number in (signal.SIGKILL, signal.SIGSTOP):
            continue
        wanted = signal.SIG_IGN if number in KEPT_IGNORED else signal.SIG_DFL
        if signal.getsignal(number) is not wanted:
            signal.signal(number, wanted)


def do_nothing(number: int, frame: object) -> None:
    """Handle a signal by waking whoever waits: unlike SIG_IGN it does not survive an exec."""


def answer_nothing(numbers: Iterable[signal.Signals]) -> None:
    """Install handlers that do nothing."""
    for number in numbers:
        signal.signal(number, do_nothing)


def why(error: OSError) -> str:
    """Return what the system lacks: `EAGAIN: Resource temporarily unavailable`."""
    return f"{errno.errorcode.get(error.errno or 0, 'unknown')}: {error.strerror}"


def thread_count() -> int:
    """Return how many threads this process has, native ones included."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - a count is all that is wanted
    except OSError:
        return 1
