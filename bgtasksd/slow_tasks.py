"""Tasks that keep others of their batch waiting, as the scoreboard shows them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bgtasks.queue.types import Slow
from bgtasksd.scoreboard import Page, Record, WorkState

PATIENCE = 1.0
"""Seconds; twice as long as a worker trusts what it has not started."""


AGAIN = 5.0
"""Seconds: the database may have been away, or a row locked, when it was named before."""


class SlowTasks:
    """Finds each of them, and again every few seconds while it runs."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self.pages = pages
        self.named: dict[tuple[int, int], float] = {}
        """(worker id, sequence) → when it was named last, monotonic."""

    @property
    def are_there(self) -> bool:
        """Whether any was seen at the last look."""
        return bool(self.named)

    def found(self, workers: Iterable[str]) -> list[Slow] | None:
        """Return the tasks of these workers that have run for long and were not named lately; None: all rest."""
        names = {int(name.rsplit(":", 1)[1], 16): name for name in workers}
        now = time.monotonic()
        slow, named, is_any_busy = [], {}, False
        for page in self.pages:
            running, finished = _running_on(page), page.finished()  # in this order: what is over is not given back
            name = names.get(page.worker_id)
            if name is None or not page.is_alive or not running:
                continue
            is_any_busy = True
            for record in running:
                key = (page.worker_id, record.sequence)
                if now - record.started_at < PATIENCE:
                    continue
                named[key] = self.named.get(key, float("-inf"))
                if now - named[key] >= AGAIN and not page.is_of_places:
                    named[key] = now
                    over = tuple((entry.task_id, entry.token, entry.duration) for entry in finished)
                    slow.append(Slow(name, (record.task_id, record.token), over))
        self.named = named
        return slow if is_any_busy else None


def _running_on(page: Page) -> list[Record]:
    """Return the tasks whose functions run there. Behind those that have places of their own nothing waits."""
    records = page.in_blocks() if page.is_of_places else page.tasks()
    return [record for record in records if record.state is WorkState.BUSY]
