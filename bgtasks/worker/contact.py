"""Whether a worker reaches the queue: told once when that ends, and once when it is back."""

from __future__ import annotations

import logging

from django.db import Error

from bgtasks.execution import close_connections
from bgtasks.queue import claims

logger = logging.getLogger("bgtasks.worker")


class Contact:
    """Counts the turns in a row that the database refused."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.failures = 0

    def failed(self, error: Exception) -> None:
        """Note a failure, and drop the connection: it may stand anywhere in an answer."""
        self.failures += 1
        if self.failures == 1:
            reason = f"{type(error).__name__}: {error}".strip()
            logger.warning(
                "database=%s the queue cannot be reached, trying again: %s", claims.alias(), reason,
                exc_info=None if isinstance(error, Error) else error,
                extra={"event": "database_away", "worker": self.worker},
            )  # fmt: skip
        close_connections(claims.alias())

    def succeeded(self) -> None:
        """Note a turn that was confirmed."""
        if self.failures:
            extra = {"event": "database_back", "worker": self.worker}
            logger.warning("database=%s the queue is back after %s tries", claims.alias(), self.failures, extra=extra)
        self.failures = 0
