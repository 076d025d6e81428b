"""What coroutines tell of their progress: written by their worker, between two of their steps, on its connection."""

from __future__ import annotations

import logging
import time

from django.db import Error

from bgtasks.execution import close_connections
from bgtasks.queue import claims
from bgtasks.queue.types import Claim

logger = logging.getLogger("bgtasks.worker")

INTERVAL = 1.0
"""Seconds between two writes."""


class Telling:
    """Keeps the last that each has told since the last write."""

    def __init__(self) -> None:
        self.told: dict[tuple[int, int], str] = {}
        self.due_at = 0.0

    def note(self, claim: Claim, text: str) -> None:
        """Take what a task tells, perhaps in another thread."""
        self.told[claim.task_id, claim.token] = text

    def write_if_due(self) -> None:
        """Write it; what cannot be written now stands in the outcome, at the latest."""
        if not self.told or time.monotonic() < self.due_at:
            return
        told, self.told = self.told, {}
        self.due_at = time.monotonic() + INTERVAL
        try:
            with claims.bound:
                claims.note_progress(told)
        except Error as error:
            logger.debug("progress was not written: %s", error)
            close_connections(claims.alias())
