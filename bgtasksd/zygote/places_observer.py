"""The observer of a worker that runs tasks side by side: a record for each, and one that says what the worker does."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bgtasks.execution import run_time_limit
from bgtasks.queue.types import Claim, Outcome, Result
from bgtasksd.scoreboard import Finished, Record, WorkState
from bgtasksd.zygote.line import Line
from bgtasksd.zygote.observer import SlotObserver

NOTHING = Record()


class PlacesObserver(SlotObserver):
    """A task has its place from its start until it is written down, or stands in the ring."""

    def __init__(self, line: Line, max_run_time: float | None) -> None:
        super().__init__(line, max_run_time)
        assert self.page.places is not None
        self.places = self.page.places
        self.free = list(range(self.places.count))
        self.held: dict[int, tuple[int, Record]] = {}
        """Task id → its place, and what is written there."""

    def started(self, claim: Claim, sequence: int) -> None:
        now, limit = time.monotonic(), run_time_limit(claim, self.max_run_time)
        record = Record(
            WorkState.BUSY,
            sequence=sequence,
            task_id=claim.task_id,
            token=claim.token,
            started_at=now,
            deadline=now + limit if limit else 0.0,
            task_name=claim.task_name,
        )
        self._hold(claim.task_id, self.free.pop(), record)
        self._tell(sequence)
        self._tell_of_more()

    def finished(self, claim: Claim, outcome: Outcome) -> None:
        self._count(outcome.result)
        entry = Finished(claim.task_id, claim.token, time.monotonic(), outcome.duration)
        if outcome.result is Result.SUCCESSFUL and self.page.push(entry):
            self.in_ring.add(claim.task_id)
            self._let_go(claim.task_id)
        else:
            place, record = self.held[claim.task_id]
            self._hold(claim.task_id, place, record._replace(state=WorkState.FINISHING, deadline=0.0))
        self._tell()
        self._reckon(claim, outcome)

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        for task_id in self._take_out_of_ring(outcomes) & self.held.keys():
            self._let_go(task_id)
        self._tell()

    def idle(self) -> None:
        self.counter += 1
        self._tell()

    def _hold(self, task_id: int, place: int, record: Record) -> None:
        self.held[task_id] = place, record
        self.places.write(place, record)

    def _let_go(self, task_id: int) -> None:
        place, _record = self.held.pop(task_id)
        self.places.write(place, NOTHING)
        self.free.append(place)

    def _tell(self, sequence: int | None = None) -> None:
        """Write what the worker does: it is busy as long as anything runs. Which tasks these are the places say."""
        state = WorkState.FINISHING if self.held or self.in_ring else WorkState.IDLE
        if any(record.state is WorkState.BUSY for _place, record in self.held.values()):
            state = WorkState.BUSY
        self._write(state, (self.record.sequence if sequence is None else sequence, 0, 0, 0.0, 0.0), "")
