"""The supervisor's time: monotonic and without the gaps in which it did not run. Wall time is for display alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds. After a gap every deadline is as far away as before, so waking up ends nobody."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> float:
        """Return the present moment."""
        return time.monotonic() - self.skipped

    def skip(self, seconds: float) -> None:
        """Leave a gap out."""
        self.skipped += seconds

    def at(self, monotonic: float) -> float:
        """Return the moment at which a child, which counts gaps too, saw `monotonic`, if there is no gap between."""
        return monotonic - self.skipped


def wall_time() -> str:
    """Return the present time as people and JSON write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
