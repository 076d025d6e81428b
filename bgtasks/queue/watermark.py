"""How far a worker's full batches have come: where the next claim may begin to look, for a second at most.

What was claimed leaves its entry in the queue's index until the database may clean up, and while somebody's old
snapshot is open it may not: each claim would step over everything ever claimed. Correctness never depends on this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

SLACK = timedelta(seconds=2)
"""Rows become visible a little out of order: so far below a batch that has waited for less than this is looked at.

Not below an older one, where a second more or less is no matter: a hundred thousand rows may be of the same moment.
"""
LONGEST = 1.0
"""Seconds after which a claim looks at everything again: for what was committed late, or given back."""
FEWEST = 5
"""Full batches in a row before it counts: where tasks come one by one, a claim shall not have to look twice."""
MOST = 32
"""Marks kept: each makes the claim's statement longer."""


class Place(NamedTuple):
    """Where a row stands in the index that claims read."""

    claim_order: int
    run_at: datetime
    task_id: int
    queue: str


class Piece(NamedTuple):
    """A part of a queue's index to look at: all of it if both orders and the time are None."""

    queue: str
    above: int | None
    """Begin behind this claim_order; or in it, if there is a time."""
    since: datetime | None
    """Begin at this run_at within the claim_order `above`,"""
    first: int | None
    """and at this id within that time."""
    below: int | None
    """End before this claim_order."""


Mark = tuple[datetime, int]
"""(run_at, id): within its queue and claim_order everything before that is claimed."""


class Watermark:
    """What one holder's last full batches say: per queue and claim_order, the row before which all is claimed."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, int], Mark] = {}
        self._in_a_row = 0
        self._looked_at_all = float("-inf")

    def pieces(self, now: float) -> tuple[Piece, ...]:
        """Return the parts of the queues with marks that are to be looked at; none: look at everything.

        `now` is on the monotonic clock, like that of `claimed`.
        """
        if self._in_a_row < FEWEST or now - self._looked_at_all >= LONGEST:
            return ()
        return tuple(_pieces(self._marks))

    def claimed(self, places: Iterable[Place], claimed_at: datetime, *, is_bounded: bool, now: float) -> None:
        """Note what a full claim brought that began at `now`, by the rows' clock at `claimed_at`."""
        self._in_a_row += 1
        ordered = sorted(places)
        if not is_bounded:
            self._looked_at_all = now
            # What is behind the last row was not looked at. What is before it was, and is bare but for these rows.
            last = ordered[-1][:3]
            self._marks = {key: mark for key, mark in self._marks.items() if (key[1], *mark) <= last}
        batch: dict[tuple[str, int], Mark] = {}
        for claim_order, run_at, task_id, queue in ordered:
            is_old = run_at <= claimed_at - SLACK
            batch.setdefault((queue, claim_order), (run_at, task_id) if is_old else (run_at - SLACK, 0))
        others = {key: mark for key, mark in self._marks.items() if key not in batch}
        self._marks = dict(list({**batch, **others}.items())[:MOST])

    def forget(self) -> None:
        """Look at everything next time: a batch was not full, or something may have gone back to its place."""
        self._in_a_row = 0
        self._marks.clear()


def _pieces(marks: dict[tuple[str, int], Mark]) -> Iterator[Piece]:
    for queue, group in groupby(sorted(marks), key=lambda key: key[0]):
        begin: tuple[int | None, datetime | None, int | None] = (None, None, None)
        for _, claim_order in group:
            yield Piece(queue, *begin, claim_order)
            begin = (claim_order, *marks[queue, claim_order])
        yield Piece(queue, *begin, None)


_watermarks: dict[str, Watermark] = {}


def of(worker: str) -> Watermark:
    """Return the watermark of the holder of this name in this process."""
    return _watermarks.setdefault(worker, Watermark())
