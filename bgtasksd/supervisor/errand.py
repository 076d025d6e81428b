"""A child that does one thing beside the loop: what it has written is read when it ends, which it does in time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from bgtasksd.children.channel import close_all
from bgtasksd.children.exits import Exit
from bgtasksd.children.fork import Mask, fork
from bgtasksd.children.linux import die_with_parent
from bgtasksd.children.process import Process
from bgtasksd.scoreboard.board import unnamed_memory
from bgtasksd.supervisor.clock import Clock
from bgtasksd.supervisor.loop import Loop, Rank

LARGEST = 1024 * 1024
"""Bytes that are read of what it wrote."""

Body = Callable[[int], int]
"""Writes to the descriptor it gets and returns the exit code."""


class Errand:
    """One such child. `exit` is None as long as it runs."""

    def __init__(self, loop: Loop, clock: Clock, body: Body, timeout: float, closing: list[int]) -> None:
        """Fork it. Raises OSError. It is killed after `timeout` seconds; it closes the descriptors in `closing`."""
        self.loop = loop
        self.clock = clock
        self.kill_at = clock.now() + timeout
        self.exit: Exit | None = None
        self.text = ""
        """What it wrote."""
        self.output = unnamed_memory("bgtasksd-errand")
        try:
            self.process = Process(fork(lambda mask: self._be(body, closing, mask)))
        except OSError:
            os.close(self.output)
            raise
        loop.watch(self.process, Rank.EXIT, self._has_ended)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_gone(self) -> bool:
        return self.exit is not None

    @property
    def has_succeeded(self) -> bool:
        return self.exit is not None and self.exit.code == 0

    def descriptors(self) -> list[int]:
        """Return what other children close."""
        return [] if self.exit is not None else [self.process.fileno(), self.output]

    def next_at(self) -> float | None:
        """Return when it has taken too long."""
        return None if self.exit is not None else self.kill_at

    def run(self) -> None:
        """Kill it when it has taken too long."""
        if self.exit is None and self.kill_at <= self.clock.now():
            self.kill()

    def kill(self) -> None:
        """End it now; its end is noticed like any other."""
        if self.exit is None:
            self.kill_at = self.clock.now() + 10
            self.process.send_signal(signal.SIGKILL)

    def _be(self, body: Body, closing: list[int], mask: Mask) -> int:
        """Be the child; unlike the others it dies with the supervisor, whatever it is at."""
        close_all(closing)
        die_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return body(self.output)

    def _has_ended(self) -> None:
        found = self.process.reap()
        if found is None:
            return
        self.exit = found
        self.text = os.pread(self.output, LARGEST, 0).decode(errors="replace")
        self.loop.forget(self.process)
        self.process.close()
        os.close(self.output)
