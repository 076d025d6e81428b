"""A worker's batch when a task of it turns out to be slow: what is over is settled, what waits is given back."""

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
        """Returns the slow tasks of our workers, each again every few seconds; None while no worker runs anything."""

    def run(self, report: Report) -> float | None:
        """Look once; return the seconds until the next look."""
        found = self.slow()
        for slow in found or ():
            relieved = claims.relieve(slow)
            if relieved.given_back or relieved.finished:
                report.given_back += len(relieved.given_back)
                logger.info(
                    "worker=%s settled %s tasks before and gave back %s tasks behind task %s, which is slow",
                    slow.worker, len(relieved.finished), len(relieved.given_back), slow.running[0],
                    extra={"event": "relief", "worker": slow.worker, "task_id": slow.running[0]},
                )  # fmt: skip
        return RESTING_INTERVAL if found is None else INTERVAL
