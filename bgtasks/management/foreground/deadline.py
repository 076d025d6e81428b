"""Time limits without a supervisor: the task is interrupted; if that does not help, the process ends itself in time.

Nobody renews the lease of a stand-alone worker. So it must be dead when a lease ends, measured from before the claim
was sent, whatever its task does.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from django.db import Error

from bgtasks import conf
from bgtasks.exceptions import ClaimLost, TaskInterruption, TaskTimeout
from bgtasks.execution import close_connections, interrupt, run_time_limit
from bgtasks.queue import claims
from bgtasks.queue.types import Claim

logger = logging.getLogger("bgtasks.worker")

WITHOUT_LIMIT = 24 * 3600.0
"""Seconds that the lease lasts for a task that has no limit."""
OLD = 1.0
"""Seconds: a claim older than this gets its lease anew, for it may be one that was confirmed long after it was made."""
NEAR = 60.0
"""Seconds: a backstop nearer than this is taken down when a task is over: it might cut the writing of its outcome."""


def lease_for(limit: float | None, kill_grace: float) -> float:
    """Return how long the claim on a task must last."""
    return WITHOUT_LIMIT if limit is None else limit + kill_grace


class Deadline:
    """Watches over the task at hand: `TaskTimeout` by an interval timer, then a C thread that ends the process."""

    def __init__(self, worker: str, lease: float, kill_grace: float) -> None:
        self.worker = worker
        self.lease = lease
        """What each claim is given."""
        self.kill_grace = kill_grace
        self.reason: type[TaskInterruption] = TaskTimeout
        self.sequence = 0
        self.claimed_after = 0.0
        self.is_in_doubt = False
        self.backstop_at: float | None = None
        self.is_possible = threading.current_thread() is threading.main_thread()
        self.handler_before: Any = None
        if self.is_possible:
            self.handler_before = signal.signal(signal.SIGALRM, self.on_alarm)

    def before_claim(self) -> None:
        """Note the time: whatever is claimed next has a lease that begins later than this."""
        if not self.is_in_doubt:
            self.claimed_after = time.monotonic()
        self.is_in_doubt = True

    def after_claim(self) -> None:
        """A turn was confirmed. One that was not may have claimed all the same, and the next turn brings it."""
        self.is_in_doubt = False

    def start(self, claim: Claim, sequence: int) -> None:
        """Set the timers for a task."""
        self.sequence = sequence
        if not self.is_possible:
            return
        lasts = self.lasting(claim)
        self.arm(self.claimed_after + lasts)
        signal.setitimer(signal.ITIMER_REAL, max(0.001, lasts - self.kill_grace), self.kill_grace / 2)

    def lasting(self, claim: Claim) -> float:
        """Return how long the task may last, counted from `claimed_after`; its lease lasts no shorter."""
        wanted, lasts = lease_for(run_time_limit(claim, conf.current().max_run_time), self.kill_grace), self.lease
        if wanted > lasts or time.monotonic() - self.claimed_after > OLD:
            lasts = self.prolong(claim, max(wanted, lasts))
        return min(wanted, lasts)

    def finish(self, claim: Claim) -> None:
        """The function is over: nothing may interrupt the writing of its outcome."""
        self.stop()

    def stop(self) -> None:
        """Take the timers down."""
        if self.is_possible:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self.backstop_at is not None and self.backstop_at - time.monotonic() < NEAR:
                self.disarm()

    def interrupt_now(self, reason: type[TaskInterruption]) -> None:
        """Interrupt the task at hand, and again in a while: the first may be swallowed. For signal handlers."""
        self.reason = reason
        if self.is_possible:
            signal.setitimer(signal.ITIMER_REAL, self.kill_grace / 2, self.kill_grace / 2)
            interrupt(self.sequence, reason)

    def on_alarm(self, number: int, frame: object) -> None:
        interrupt(self.sequence, self.reason)

    def prolong(self, claim: Claim, seconds: float) -> float:
        """Let the lease begin anew, and last that long; return how long it lasts. A claim lost meanwhile is not run."""
        asked_at = time.monotonic()
        try:
            with claims.bound:
                held = claims.renew([self.worker], seconds).held
        except Error as error:
            logger.warning("worker=%s no longer lease: %s; the usual time limit holds", self.worker, error)
            close_connections(claims.alias())
            return self.lease
        if (claim.task_id, claim.token) not in held:
            interrupt(self.sequence, ClaimLost)  # raised when its function is about to begin
        self.claimed_after = asked_at
        return seconds

    def arm(self, at: float) -> None:
        """Let the process end itself at that time, with all stacks in the log, even if C code holds the interpreter.

        Arming costs 30 µs, a thread each time. For fast tasks one that is a little early serves for the next, too.
        """
        if self.backstop_at is not None and at - self.kill_grace / 4 <= self.backstop_at <= at:
            return
        self.disarm()
        # Blocked in the thread from its start on: a signal that it took would not end a sleep of the main thread.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            faulthandler.dump_traceback_later(max(0.001, at - time.monotonic()), exit=True, file=sys.__stderr__ or 2)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.backstop_at = at

    def disarm(self) -> None:
        """Take the backstop down: what comes next is no task."""
        if self.backstop_at is not None:
            self.backstop_at = None
            faulthandler.cancel_dump_traceback_later()

    def rest(self) -> None:
        """There is no task, and none is about to begin."""
        self.disarm()

    def cancel(self, requested: Sequence[tuple[int, int, str]]) -> bool:
        """End running tasks that somebody wants cancelled; say whether there were any. Here none runs while we look."""
        return False

    def look(self) -> bool:
        """Tell tasks whose time is over, and set the timer anew: bounded calls to the database take it down.

        Say whether any was told. Here none runs while we look.
        """
        return False

    def close(self) -> None:
        """Leave the process as it was."""
        if self.is_possible:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.disarm()
            signal.signal(signal.SIGALRM, self.handler_before)
