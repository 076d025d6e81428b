"""Running tasks that somebody wants to end: looked for more often than leases are renewed, while it can matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bgtasks.maintenance.report import Report
from bgtasks.queue import claims

INTERVAL = 1.0
"""Seconds between two looks."""


class Cancels:
    """A duty of whoever keeps several workers; one indexed query a look, and none while all tasks are short."""

    def __init__(self, holders: Callable[[], Sequence[str]], is_worthwhile: Callable[[], bool]) -> None:
        self.holders = holders
        self.is_worthwhile = is_worthwhile
        """Says whether one of our workers is busy with a task that is not over in a moment anyway."""

    def run(self, report: Report) -> None:
        """Look once."""
        if self.is_worthwhile():
            report.cancel_requested += claims.cancel_requests(self.holders())
