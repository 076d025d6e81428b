"""The observer that writes what the polling loop does into the worker's page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from bgtasks.exceptions import TaskTimeout
from bgtasks.execution import run_time_limit
from bgtasks.queue.types import Claim, Outcome, Result
from bgtasks.worker import Observer
from bgtasksd import log_streams
from bgtasksd.scoreboard import Finished, Record, Told, WorkState
from bgtasksd.zygote.line import Line

SHORTEST_SILENCE, LONGEST_SILENCE = 0.01, 0.3
"""Seconds between two words that there is more to do: all are busy before long, and need not hear it."""
SILENCE_AMONG_BUSY = 15.0
"""The same when all are known to be busy: the first that is not says so, and looks by itself should that be lost."""


ENDED = {
    Result.SUCCESSFUL: "successful",
    Result.SETTLED: "successful",
    Result.RETRY: "retried",
    Result.FAILED: "failed",
    Result.CANCELLED: "cancelled",
}
"""What counts as an execution, and as which: one that was given back will be another, one without its claim is."""


class SlotObserver(Observer):
    """Keeps the record; the page's reader may look, or the process die, at any moment."""

    def __init__(self, line: Line, max_run_time: float | None) -> None:
        self.line = line
        self.descriptors = line.descriptors()
        self.page = line.page
        self.max_run_time = max_run_time
        self.counter = 0
        self.counts = [0, 0, 0, 0]
        """Done, failed, retried, cancelled."""
        self.record = Record(WorkState.IDLE)
        self.rests = -1
        self.has_more = False
        self.told_at = float("-inf")
        self.silence = 0.0
        self.in_ring: set[int] = set()
        """Ids of the tasks that stand in the page's ring."""

    def exchanged(self) -> Sequence[int]:
        """Return stdout and stderr if they have gone on with a log file that was moved away."""
        return log_streams.exchanged()

    def started(self, claim: Claim, sequence: int) -> None:
        """Name the task before anything of it is touched: what kills the worker must be known."""
        now = time.monotonic()
        limit = run_time_limit(claim, self.max_run_time)
        self._write(
            WorkState.BUSY,
            (sequence, claim.task_id, claim.token, now, now + limit if limit else 0.0),
            claim.task_name,
        )
        self._tell_of_more()

    def finished(self, claim: Claim, outcome: Outcome) -> None:
        """The body is over: no time limit any more, and the counts move.

        A success goes into the ring, and is held no longer: should the worker die now, maintenance writes it down.
        """
        self._count(outcome.result)
        record = self.record
        task = (record.sequence, record.task_id, record.token, record.started_at, 0.0)
        if outcome.result is Result.SUCCESSFUL:
            now = time.monotonic()
            if self.page.push(Finished(claim.task_id, claim.token, now, outcome.duration)):
                self.in_ring.add(claim.task_id)
                task = (record.sequence, 0, 0, now, 0.0)
        self._write(WorkState.FINISHING, task, record.task_name)
        self._reckon(claim, outcome)

    def progressed(self, claim: Claim, text: str) -> None:
        """Leave it where maintenance and the supervisor find it."""
        self.page.tell(Told(claim.task_id, claim.token, text.encode()))

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """What was held is written down."""
        ids = self._take_out_of_ring(outcomes)
        if not self.record.has_task or self.record.task_id in ids:
            self._hold_nothing()

    def more_ready(self) -> None:
        """Have the next idle worker woken, but not before this one is seen to be busy: it might be woken itself."""
        self.has_more = True

    def _tell_of_more(self) -> None:
        """Say that there is more to do; once when work begins, and the longer it goes on the more seldom."""
        if not self.has_more:
            return
        self.has_more, now = False, time.monotonic()
        if self.line.rests != self.rests:
            self.rests, self.silence = self.line.rests, 0.0
        if now - self.told_at >= (SILENCE_AMONG_BUSY if self.page.is_rest_awaited else self.silence):
            self.told_at = now
            self.silence = min(LONGEST_SILENCE, max(SHORTEST_SILENCE, 2 * self.silence))
            self.line.send("more")

    def idle(self) -> None:
        """The loop moves. What is over and not written down is still held."""
        self.counter += 1
        if self.record.has_task:
            self._write_again()
        else:
            self._hold_nothing()

    def turned(self, want: int) -> None:
        """The loop moves; the only place where a busy worker hears its supervisor."""
        self.counter += 1
        self._write_again()
        self.line.reckoning.tell_if_due()
        self.line.read()

    def _take_out_of_ring(self, outcomes: Sequence[Outcome]) -> set[int]:
        """Leave to maintenance only what is not written down; return the ids of what is."""
        ids = {one.claim.task_id for one in outcomes}
        over = self.in_ring & ids
        if over:
            self.page.discard(len(over))
            self.in_ring -= over
        return ids

    def _hold_nothing(self) -> None:
        self._write(WorkState.IDLE, (self.record.sequence, 0, 0, 0.0, 0.0), "")

    def _write_again(self) -> None:
        """Write the record as it is, but for the counter."""
        record = self.record
        task = (record.sequence, record.task_id, record.token, record.started_at, record.deadline)
        self._write(record.state, task, record.task_name)

    def _count(self, result: Result) -> None:
        if result in (Result.SUCCESSFUL, Result.SETTLED):
            self.counts[0] += 1
        elif result in (Result.RETRY, Result.FAILED):
            self.counts[1] += 1
            self.counts[2] += result is Result.RETRY
        elif result is Result.CANCELLED:
            self.counts[3] += 1

    def _reckon(self, claim: Claim, outcome: Outcome) -> None:
        """Keep for the metrics what has ended."""
        if outcome.result not in ENDED:
            return
        named = "timed_out" if isinstance(outcome.error, TaskTimeout) else ENDED[outcome.result]
        waited = max(0.0, (claim.locked_at - claim.run_at).total_seconds())
        self.line.reckoning.sums.add(claim.task_name, claim.queue, named, duration=outcome.duration, waited=waited)

    def _write(self, state: WorkState, task: tuple[int, int, int, float, float], name: str) -> None:
        record: tuple[Any, ...] = (state, self.counter, *task, *self.counts, name)
        self.record = Record(*record)
        self.page.write(self.record)
