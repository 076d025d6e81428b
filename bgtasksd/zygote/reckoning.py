"""What a worker has executed of late, kept back for a moment and told to the supervisor in one message."""

from __future__ import annotations

import time
from collections.abc import Callable

from bgtasksd.executions import Executions

INTERVAL = 5.0
"""Seconds between two messages, at least: hundreds of tasks may end in one of them."""


class Reckoning:
    """Sums that are to be told."""

    def __init__(self, send: Callable[..., bool]) -> None:
        self.send = send
        self.sums = Executions()
        self.told_at = float("-inf")

    def due_in(self) -> float:
        """Return the seconds until they are to be told."""
        return max(0.0, self.told_at + INTERVAL - time.monotonic()) if self.sums.ended else float("inf")

    def tell_if_due(self) -> None:
        """Tell them if it is time."""
        if self.sums.ended and not self.due_in():
            self.tell()

    def tell(self) -> None:
        """Tell them, or keep them when nobody listens."""
        self.told_at = time.monotonic()
        if self.sums.ended and self.send("executions", **self.sums.as_json()):
            self.sums = Executions()
