"""Giving back what waits in a worker's batch behind a task that turned out to be slow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bgtasks.maintenance.report import Report
from bgtasks.queue import claims
from bgtasks.queue.types import Slow

logger = logging.getLogger("bgtasks.maintenance")

INTERVAL = 0.25
RESTING_INTERVAL = 1.0
"""Seconds between two looks, while somebody runs a task and while nobody does."""


class Relief:
    """A duty of whoever keeps several workers."""

    def __init__(self, slow: Callable[[], Sequence[Slow] | None]) -> None:
        self.slow = slow
        """Returns the tasks of our workers that are slow, each of them once; None while no worker runs anything."""

    def run(self, report: Report) -> float | None:
        """Look once; return the seconds until the next look."""
        found = self.slow()
        for slow in found or ():
            given_back = claims.give_back_behind(slow)
            if given_back:
                report.given_back += len(given_back)
                task_id = slow.running[0]
                logger.info("worker=%s gave back %s tasks behind task %s", slow.worker, len(given_back), task_id)
        return RESTING_INTERVAL if found is None else INTERVAL
