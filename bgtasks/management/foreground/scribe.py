"""Writing the progress of the task that runs, without a second process: a thread for as long as it takes."""

from __future__ import annotations

import logging
import threading

from django.db import Error

from bgtasks.execution import close_connections
from bgtasks.queue import claims
from bgtasks.queue.types import Claim

logger = logging.getLogger("bgtasks.worker")

INTERVAL = 1.0
"""Seconds between two writes, and before the first: what is over by then is written with its end."""
LONGEST_GOODBYE = 1.0
"""Seconds that a thread which writes when the task is over may take."""


class Scribe:
    """Has a thread of its own while a task tells; and that one a connection, so that it is in nobody's transaction."""

    def __init__(self) -> None:
        self.text = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, claim: Claim, text: str) -> None:
        """Take what the task tells."""
        self.text = text
        if self._thread is None:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._write, args=(claim, self._over), name="progress", daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """The task is over: its end holds what it told last."""
        if self._thread is not None:
            self._over.set()
            self._thread.join(LONGEST_GOODBYE)
            self._thread = None

    def _write(self, claim: Claim, over: threading.Event) -> None:
        written = ""
        while not over.wait(INTERVAL):
            if written != (text := self.text):
                written = text
                try:
                    claims.note_progress({(claim.task_id, claim.token): text})
                except Error as error:
                    logger.debug("task=%s its progress was not written: %s", claim.task_id, error)
                    close_connections(claims.alias())
        close_connections()
