"""Sleeping until a signal, a ring or the end of the time: what an idle worker does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from bgtasks.readable import readable


class Bell:
    """A pipe. Signals write to it from C, so none is missed between a look and the sleep that follows."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.before = -1
        self.select: Callable[[Sequence[int], float], Sequence[int]] = readable
        """Sleeps until a descriptor is readable: a worker with several places lets coroutines run meanwhile."""
        self.was_rung = False
        """What ended the last sleep: a ring, and not only a descriptor."""
        self.is_wired = threading.current_thread() is threading.main_thread()
        if self.is_wired:
            self.before = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)

    def ring(self) -> None:
        """Wake the sleeper, or keep the next sleep from beginning. Safe from a signal handler and from a thread."""
        with suppress(BlockingIOError):  # it is full of rings already
            os.write(self.writer, b"\0")

    def sleep(self, seconds: float, also: Sequence[int] = ()) -> bool:
        """Sleep at most that long; say whether somebody has rung, or one of these descriptors is readable."""
        deadline = time.monotonic() + seconds
        while not self.select([self.reader, *also], max(0.0, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                return False
        self.was_rung = False
        with suppress(BlockingIOError):
            self.was_rung = bool(os.read(self.reader, 65536))
        return True

    def close(self) -> None:
        """Give back the pipe, and the signals to whom they rang before."""
        if self.is_wired:
            signal.set_wakeup_fd(self.before)
        os.close(self.reader)
        os.close(self.writer)
