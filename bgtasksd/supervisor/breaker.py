"""The breaker: what is said, and done, when no worker stays up whatever is tried."""

from __future__ import annotations

import logging
import os

from bgtasksd.exit_codes import EXIT_SOFTWARE
from bgtasksd.supervisor.situation import Situation

logger = logging.getLogger("bgtasksd.supervisor")


class Breaker:
    """Open while every slot waits after too many failures."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        policy = situation.options.on_failed or ("exit" if os.getpid() == 1 else "wait")
        self.ends_the_daemon = policy == "exit"
        """So that whoever started it starts it anew; as process 1 that is the container's runtime."""
        self.was_open = False

    def next_at(self) -> float | None:
        """Return None: the loop turns often enough."""

    def run(self) -> None:
        """Say when it opens; then the loop goes on trying once a minute, or ends with 70."""
        situation = self.situation
        is_open = situation.slots.are_hopeless
        if is_open and not self.was_open:
            follows = "exiting (--on-failed exit)" if self.ends_the_daemon else "trying once a minute"
            text = f"every worker failed again and again: {follows}"
            logger.error(text, extra={"event": "breaker_open"})
            if self.ends_the_daemon and not situation.error_text:
                situation.error_text, situation.error_code = text, EXIT_SOFTWARE
        self.was_open = is_open
