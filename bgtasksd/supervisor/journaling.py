"""Orders about the log while the daemon runs: how grave a record must be, and a file that was moved away."""

from __future__ import annotations

import logging
from typing import Any

from bgtasksd import journal
from bgtasksd.supervisor.situation import Situation

logger = logging.getLogger("bgtasksd.supervisor")


class Journaling:
    """Obeys in the supervisor, and passes the order on; a busy worker hears it after its task."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation

    def set_level(self, level: str) -> dict[str, Any]:
        """Log what is at least as grave as `level`, here and in all children to come."""
        journal.set_level(level)
        self._pass_on("log_level", level=level)
        logger.warning("log level is %s now", level, extra={"event": "log_level"})
        return {"level": level.lower()}

    def reopen(self) -> tuple[str | None, str | None]:
        """Open the log file again; return its path, None for stderr, and what was in the way."""
        path = self.situation.options.log_file
        trouble = journal.reopen()
        self._pass_on("reopen")
        if path is not None and trouble is None:
            logger.info("log file %s opened again", path, extra={"event": "reopened"})
        return path, trouble

    def _pass_on(self, kind: str, **fields: Any) -> None:
        for link in (self.situation.zygote, self.situation.maintenance, *self.situation.beside):
            link.send(kind, **fields)
        for child in self.situation.slots.children():
            if child.is_alive:
                child.channel.send(kind, **fields)
