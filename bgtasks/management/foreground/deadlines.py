"""The same for tasks that run side by side: the timers are set for the one whose time is over first."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

from bgtasks.exceptions import TaskCancelled, TaskInterruption, TaskTimeout
from bgtasks.management.foreground.deadline import Deadline
from bgtasks.queue.types import Claim

AGAIN = 0.05
"""Seconds before the alarm is set for what is overdue already: the first one is on its way."""


class Deadlines(Deadline):
    """Watches over all running tasks. `interrupt` ends one of them and no other.

    The end of the process would be that of all: give it twice the grace, for an interrupt may have to wait for a turn.
    """

    def __init__(
        self, worker: str, lease: float, kill_grace: float, interrupt: Callable[[int, type[TaskInterruption]], None]
    ) -> None:
        super().__init__(worker, lease, kill_grace)
        self.interrupt = interrupt
        self.running: dict[int, tuple[Claim, int, float]] = {}
        """Task id → its claim, its sequence, and when the process must be dead."""
        self.asked: dict[int, float] = {}
        """Sequence → when that task was last told that its time is over."""

    def start(self, claim: Claim, sequence: int) -> None:
        self.sequence = sequence
        if self.is_possible:
            self.running[claim.task_id] = claim, sequence, self.claimed_after + self.lasting(claim)
            self.set_timers()

    def finish(self, claim: Claim) -> None:
        _claim, sequence, _at = self.running.pop(claim.task_id, (claim, 0, 0.0))
        self.asked.pop(sequence, None)
        self.stop()
        self.set_timers()

    def set_timers(self) -> None:
        """Set both for whoever is first."""
        if self.running:
            first = min(at for _claim, _sequence, at in self.running.values())
            self.arm(first)
            left = first - self.kill_grace - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(AGAIN, left), self.kill_grace / 2)

    def prolong(self, claim: Claim, seconds: float) -> float:
        """Let the leases of all begin anew, none of them shorter than it was."""
        now = time.monotonic()
        return super().prolong(claim, max([seconds, *(at - now for _claim, _sequence, at in self.running.values())]))

    def interrupt_now(self, reason: type[TaskInterruption]) -> None:
        for _claim, sequence, _at in list(self.running.values()):
            self.interrupt(sequence, reason)

    def on_alarm(self, number: int, frame: object) -> None:
        now = time.monotonic()
        for _claim, sequence, at in list(self.running.values()):
            if at <= now + self.kill_grace and now - self.asked.get(sequence, float("-inf")) >= self.kill_grace / 4:
                self.asked[sequence] = now
                self.interrupt(sequence, TaskTimeout)

    def look(self) -> bool:
        if not self.is_possible or not self.running:
            return False
        before = dict(self.asked)
        self.on_alarm(signal.SIGALRM, None)
        self.set_timers()
        return self.asked != before

    def rest(self) -> None:
        if not self.running:
            super().rest()

    def cancel(self, requested: Sequence[tuple[int, int, str]]) -> bool:
        wanted = {(task_id, token) for task_id, token, _worker in requested}
        found = [sequence for claim, sequence, _at in self.running.values() if (claim.task_id, claim.token) in wanted]
        for sequence in found:
            self.interrupt(sequence, TaskCancelled)
        return bool(found)
