"""Old history, deleted for a moment at a time: seldom while there is little, and ever more often while it grows."""

from __future__ import annotations

import time

from bgtasks import conf
from bgtasks.maintenance.report import Report
from bgtasks.queue import claims

INTERVAL, INTERVAL_AT_LEAST = 60.0, 5.0
"""Seconds between two looks; as few as history is kept, but no fewer than the second."""
SLICE = 0.2
PAUSE, SHORTEST_PAUSE = 0.8, 0.1
"""Seconds at a time, and between two of them while there is more: a fifth of the time, and if that goes on for long
more and more of it. However fast history grows, it has to end."""


class OldHistory:
    """A duty of every host, and with it the attempts that belong to no task and the workers that went silent."""

    def __init__(self) -> None:
        self.attempts_looked_at = 0
        """Up to this id, attempts of tasks that are no longer there were looked for."""
        self.pause = PAUSE

    def prune(self, report: Report) -> float | None:
        """Delete for a moment; return how soon to go on if there is more, or if history is kept for seconds only."""
        claims.forget_silent()
        self.attempts_looked_at, orphans = claims.prune_orphans(self.attempts_looked_at)
        began = time.monotonic()
        report.pruned = claims.prune(seconds=SLICE) + orphans
        if time.monotonic() - began >= SLICE or self.attempts_looked_at:
            self.pause = max(SHORTEST_PAUSE, self.pause * 0.95)
            return self.pause
        self.pause = PAUSE
        shortest = min((kept for kept in conf.current().keep.values() if kept is not None), default=INTERVAL)
        return max(INTERVAL_AT_LEAST, shortest) if shortest < INTERVAL else None
