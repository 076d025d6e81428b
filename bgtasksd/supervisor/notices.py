"""What the daemon says of itself while it runs: READY, its status line, signs of life, and the breaker in the log."""

from __future__ import annotations

import logging
from typing import Protocol

from bgtasksd.supervisor.situation import Situation

EXTEND_INTERVAL, EXTEND_BY = 5.0, 30.0

logger = logging.getLogger("bgtasksd.supervisor")


class Notifier(Protocol):
    """systemd, as far as the supervisor knows it."""

    def ready(self, status: str = "") -> None: ...
    def status(self, text: str) -> None: ...
    def watchdog(self) -> None: ...
    def stopping(self, status: str = "") -> None: ...
    def extend(self, seconds: float) -> None: ...


class Notices:
    """The last duty of a turn: what it says is true of a completed turn."""

    def __init__(self, situation: Situation, notifier: Notifier) -> None:
        self.situation = situation
        self.notifier = notifier
        self.said_stopping = False
        self.said_failed = False
        self.extended_at = float("-inf")

    def next_at(self) -> float | None:
        """Return None: the loop turns often enough."""

    def run(self) -> None:
        """Say what has changed."""
        situation = self.situation
        if situation.is_stopping and not self.said_stopping:
            self.said_stopping = True
            self.notifier.stopping(self.text())
        if not situation.was_ready and not situation.is_stopping and situation.slots.ready == len(situation.slots):
            self._say_ready()
        if situation.is_stopping or not situation.was_ready:
            self._extend()
        self._say_failed()
        self.notifier.status(self.text())
        self.notifier.watchdog()

    def _say_ready(self) -> None:
        situation = self.situation
        situation.was_ready = True
        seconds = situation.clock.now() - situation.started_at
        logger.info(
            "ready, %s up in %.1f s. Ctrl-C lets running tasks finish.",
            "1 worker" if len(situation.slots) == 1 else f"{len(situation.slots)} workers",
            seconds,
            extra={"event": "ready", "workers": len(situation.slots), "seconds": round(seconds, 3)},
        )
        self.notifier.ready(self.text())

    def _extend(self) -> None:
        now = self.situation.clock.now()
        if now - self.extended_at >= EXTEND_INTERVAL:
            self.extended_at = now
            self.notifier.extend(EXTEND_BY)

    def _say_failed(self) -> None:
        are_hopeless = self.situation.slots.are_hopeless
        if are_hopeless and not self.said_failed:
            logger.error("every worker failed again and again: trying once a minute", extra={"event": "breaker_open"})
        self.said_failed = are_hopeless

    def text(self) -> str:
        """Return the status line."""
        situation = self.situation
        slots = situation.slots
        if situation.is_stopping:
            return f"stopping: {len(slots.children())} workers left"
        if slots.are_hopeless:
            return "failed: no worker stays up, trying once a minute"
        if situation.database.is_reachable is False:
            return "waiting for the database"
        busy = sum(child.record.has_task for child in slots.children())
        return f"{slots.ready}/{len(slots)} workers up, {busy} busy"
