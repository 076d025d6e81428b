"""Tasks that keep others of their batch waiting, as the scoreboard shows them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from bgtasks.queue.types import Slow
from bgtasksd.scoreboard import Page, WorkState

PATIENCE = 1.0
"""Seconds; twice as long as a worker trusts what it has not started."""


class SlowTasks:
    """Finds each of them once."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.pages = pages
        self.seen: set[tuple[int, int]] = set()
        """(worker id, sequence)"""

    def found(self, workers: Iterable[str]) -> list[Slow] | None:
        """Return the tasks of these workers that have run for long and were not returned before; None: all rest."""
        names = {int(name.rsplit(":", 1)[1], 16): name for name in workers}
        now = time.monotonic()
        slow, seen, is_any_busy = [], set(), False
        for page in self.pages:
            record, finished = page.read(), page.finished()  # in this order: what is over by now is not given back
            name = names.get(page.worker_id)
            if name is None or not page.is_alive or record.state is not WorkState.BUSY:
                continue
            is_any_busy = True
            if now - record.started_at < PATIENCE:
                continue
            seen.add((page.worker_id, record.sequence))
            if (page.worker_id, record.sequence) not in self.seen:
                over = tuple((entry.task_id, entry.token, entry.duration) for entry in finished)
                slow.append(Slow(name, (record.task_id, record.token), over))
        self.seen = seen
        return slow if is_any_busy else None
