"""The event loop: exits before messages, signals, commands; then the duties. It never sleeps and never blocks."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bgtasksd.children.fork import answer_nothing
from bgtasksd.supervisor.clock import Clock

LONGEST_WAIT = 1.0
LATE = 5.0
"""Seconds beyond its time after which a turn counts as a gap: the process was stopped, or the machine."""
MOST_FAILURES = 10
"""Failed callbacks in a minute; with more the loop is broken."""
HEARD = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD),
)

logger = logging.getLogger("bgtasksd.supervisor")


class LoopBroken(Exception):
    """Too many callbacks have failed; a fresh start is better."""


class Rank(enum.IntEnum):
    """In which order events are acted on within a turn."""

    EXIT = 0
    MESSAGE = 1
    SIGNAL = 2
    COMMAND = 3


@dataclass(eq=False, slots=True)
class Watch:
    """What is done when a descriptor is readable, and what when that fails."""

    rank: Rank
    act: Callable[[], None]
    rebuild: Callable[[], None]
    is_on: bool = True


class Duty(Protocol):
    """What the loop does at the end of a turn."""

    def next_at(self) -> float | None:
        """Return when there is something to do, on the loop's clock."""

    def run(self) -> None:
        """Do what is due."""


class Control(Protocol):
    """The control socket, as far as the loop knows it."""

    def handle(self, key: selectors.SelectorKey, mask: int) -> None:
        """Act on an event of a client."""


def nothing(*told: object) -> None:
    """Stand for a callback that is not needed."""


class Loop:
    """Watches descriptors and runs duties; one thread, no sleep."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.selector = selectors.DefaultSelector()
        self.duties: list[Duty] = []
        self.on_signals: Callable[[set[int]], None] = nothing
        self.on_gap: Callable[[float], None] = nothing
        self.longest_wait = LONGEST_WAIT
        self.turns = 0
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._failures: deque[float] = deque(maxlen=MOST_FAILURES + 1)
        self._checked_at = time.monotonic()

    def hear_signals(self) -> None:
        """Have signals wake the loop: the handlers themselves do nothing."""
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        answer_nothing(HEARD)
        self.watch(self._wakeup[0], Rank.SIGNAL, self._read_signals)

    def watch(self, source: Any, rank: Rank, act: Callable[[], None], rebuild: Callable[[], None] = nothing) -> None:
        """Call `act` whenever `source` is readable, and `rebuild` when that raises."""
        self.selector.register(source, selectors.EVENT_READ, Watch(rank, act, rebuild))

    def forget(self, source: Any) -> None:
        """Watch a descriptor no longer; nothing happens if it was not watched."""
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(source).data.is_on = False

    def descriptors(self) -> list[int]:
        """Return the loop's own descriptors, for children to close."""
        return [self.selector.fileno(), *self._wakeup]

    def turn(self) -> None:
        """Wait for events, act on them in their order, then run the duties."""
        timeout = self._timeout()
        events = self.selector.select(timeout)
        self._leave_gap_out(timeout)  # and again before every duty: one may look at deadlines right after a stop
        for key, mask in sorted(events, key=_rank):
            self._act_on(key, mask)
        for duty in self.duties:
            self._leave_gap_out(0.0)
            self.guard(duty.run)
        self.turns += 1

    def guard(self, act: Callable[[], None], rebuild: Callable[[], None] = nothing) -> None:
        """Call `act`; a failure is logged, what it served is rebuilt, and the loop goes on. Raises LoopBroken."""
        try:
            act()
        except Exception:
            logger.exception("a callback of the supervisor failed", extra={"event": "callback_failed"})
            self._failures.append(time.monotonic())
            if len(self._failures) > MOST_FAILURES and self._failures[-1] - self._failures[0] < 60:
                raise LoopBroken(f"more than {MOST_FAILURES} callbacks failed within a minute") from None
            with contextlib.suppress(Exception):
                rebuild()

    def _act_on(self, key: selectors.SelectorKey, mask: int) -> None:
        if not isinstance(key.data, Watch):
            self.guard(lambda: key.data.handle(key, mask))
        elif key.data.is_on:
            self.guard(key.data.act, key.data.rebuild)

    def _timeout(self) -> float:
        now = self.clock.now()
        due = [at for duty in self.duties if (at := duty.next_at()) is not None]
        return max(0.0, min([self.longest_wait, *(at - now for at in due)]))

    def _leave_gap_out(self, timeout: float) -> None:
        before, self._checked_at = self._checked_at, time.monotonic()
        late = self._checked_at - before - timeout
        if late > LATE:
            self.on_gap(late)
            self.clock.skip(late)

    def _read_signals(self) -> None:
        numbers: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._wakeup[0], 65536):
                numbers.update(data)
        self.on_signals(numbers)


def _rank(event: tuple[selectors.SelectorKey, int]) -> Rank:
    data = event[0].data
    return data.rank if isinstance(data, Watch) else Rank.COMMAND
