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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from bgtasksd.children.fork import answer_nothing
from bgtasksd.supervisor.clock import Clock

LONGEST_WAIT = 1.0
LATE = 5.0
"""Seconds beyond its time after which a turn counts as a gap: the process was stopped, or the machine."""
CLIENTS_SHARE = 0.005
"""Seconds of a turn that belong to those who ask."""
MOST_FAILURES = 10
"""Failed callbacks in a minute; with more the loop is broken."""
HEARD = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD),
)

Event = tuple[selectors.SelectorKey, int]
logger = logging.getLogger("bgtasksd.supervisor")


NOTHING_NEW = object()
"""What a callback returns after which the duties find everything as before: they wait for their time."""


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
    act: Callable[[], object]
    rebuild: Callable[[], None]
    is_on: bool = True


class Duty(Protocol):
    """What the loop does when its time has come, and at the end of every turn in which something has happened."""

    def next_at(self) -> float | None:
        """Return when there is something to do, on the loop's clock."""

    def run(self) -> None:
        """Do what is due."""


class Timer(Protocol):
    """What has a time of its own, often, and is mostly nothing to the duties."""

    def next_at(self) -> float | None:
        """Return when there is something to do, on the loop's clock."""

    def run(self) -> object:
        """Do what is due; return NOTHING_NEW unless the duties are to see to it."""


class Server(Protocol):
    """One at whose sockets the daemon is asked, as far as the loop knows it."""

    def handle(self, key: selectors.SelectorKey, mask: int) -> None:
        """Act on an event of a client."""

    def drop(self, key: selectors.SelectorKey) -> None:
        """Part from a client whose event could not be acted on."""


def nothing(*told: object) -> None:
    """Stand for a callback that is not needed."""


class Loop:
    """Watches descriptors and runs duties; one thread, no sleep."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.selector = selectors.DefaultSelector()
        self.duties: list[Duty] = []
        self.timers: list[Timer] = []
        self.on_signals: Callable[[set[int]], None] = nothing
        self.on_gap: Callable[[float], None] = nothing
        self.longest_wait = LONGEST_WAIT
        self.turns = 0
        self._duties_at = float("-inf")
        self._left_out: dict[int, int] = {}
        """Descriptors of clients whom the last turn did not reach, and in which order they waited."""
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._failures: deque[float] = deque(maxlen=MOST_FAILURES + 1)
        self._checked_at = time.monotonic()

    def hear_signals(self) -> None:
        """Have signals wake the loop: the handlers themselves do nothing."""
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        answer_nothing(HEARD)
        self.watch(self._wakeup[0], Rank.SIGNAL, self.read_signals)

    def watch(self, source: Any, rank: Rank, act: Callable[[], object], rebuild: Callable[[], None] = nothing) -> None:
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
        """Wait for events, act on them in their order, then run the duties: they cost more than most events."""
        timeout = self._timeout()
        events = self.selector.select(timeout)
        self._leave_gap_out(timeout)  # and again before every duty: one may look at deadlines right after a stop
        watches = [key.data for key, _ in events if isinstance(key.data, Watch)]
        done = [self._act_on(watch) for watch in sorted(watches, key=lambda watch: watch.rank)]
        done += self._serve([(key, mask) for key, mask in events if not isinstance(key.data, Watch)])
        done += self._run(self.timers)
        if self.clock.now() >= self._duties_at or any(each is not NOTHING_NEW for each in done):
            self._run(self.duties)
            self._duties_at = min([self.clock.now() + self.longest_wait, *self._due(self.duties)])
        self.turns += 1

    def _run(self, duties: Sequence[Duty | Timer]) -> list[object]:
        found = []
        for duty in duties:
            self._leave_gap_out(0.0)
            found.append(self.guard(duty.run))
        return found

    def guard(self, act: Callable[[], object], rebuild: Callable[[], None] = nothing) -> object:
        """Call `act`; a failure is logged, what it served is rebuilt, and the loop goes on. Raises LoopBroken."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - any at all, and it is logged
            self._note_failure(error)
            with contextlib.suppress(Exception):
                rebuild()
            return None

    def _note_failure(self, error: Exception) -> None:
        """Log what a callback raised. Raises LoopBroken when there were too many."""
        logger.error("a callback of the supervisor failed", exc_info=error, extra={"event": "callback_failed"})
        self._failures.append(time.monotonic())
        if len(self._failures) > MOST_FAILURES and self._failures[-1] - self._failures[0] < 60:
            raise LoopBroken(f"more than {MOST_FAILURES} callbacks failed within a minute") from None

    def _act_on(self, watch: Watch) -> object:
        return self.guard(watch.act, watch.rebuild) if watch.is_on else NOTHING_NEW

    def _serve(self, events: list[Event]) -> list[object]:
        """Act on the events of clients until their share is used up; whom that leaves out comes first the next time."""
        until = time.monotonic() + CLIENTS_SHARE
        waiting = deque(sorted(events, key=lambda event: self._left_out.get(event[0].fd, len(self._left_out))))
        done = []
        while waiting and time.monotonic() < until:
            key, mask = waiting.popleft()
            server: Server = key.data
            done.append(self.guard(partial(server.handle, key, mask), partial(server.drop, key)))
        self._left_out = {key.fd: place for place, (key, _) in enumerate(waiting)}
        return done

    def _timeout(self) -> float:
        return max(0.0, min([self._duties_at, *self._due(self.timers)]) - self.clock.now())

    def _due(self, duties: Sequence[Duty | Timer]) -> Iterator[float]:
        for duty in duties:
            try:
                at = duty.next_at()
            except Exception as error:  # noqa: BLE001 - any at all: the other duties go on
                self._note_failure(error)
            else:
                if at is not None:
                    yield at

    def _leave_gap_out(self, timeout: float) -> None:
        before, self._checked_at = self._checked_at, time.monotonic()
        late = self._checked_at - before - timeout
        if late > LATE:
            self.on_gap(late)
            self.clock.skip(late)

    def read_signals(self) -> None:
        """Act on the signals that have come."""
        numbers: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._wakeup[0], 65536):
                numbers.update(data)
        self.on_signals(numbers)
