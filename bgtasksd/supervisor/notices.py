"""What the daemon says of itself while it runs: READY, its status line, and signs of life."""

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
        self.extended = ("", float("-inf"))
        """What more time was last asked for, and when."""

    def next_at(self) -> float | None:
        """Return None: the loop turns often enough."""

    def run(self) -> None:
        """Say what has changed."""
        situation = self.situation
        if situation.is_stopping and not self.said_stopping:
            self.said_stopping = True
            self.notifier.stopping(self.text())
        if not situation.was_ready and not situation.is_stopping and self._start_is_over():
            self._say_ready()
        self._extend()
        self.notifier.status(self.text())
        self.notifier.watchdog()

    def _start_is_over(self) -> bool:
        """Tell whether every worker is up, or some are and the others have had their time: they are a problem then."""
        situation, slots = self.situation, self.situation.slots
        has_had_time = situation.clock.now() - situation.started_at > situation.options.boot_timeout
        return slots.ready == slots.target or (slots.ready > 0 and has_had_time)

    def _say_ready(self) -> None:
        situation, slots = self.situation, self.situation.slots
        situation.ready_at = situation.clock.now()
        seconds = situation.ready_at - situation.started_at
        up = str(slots.ready) if slots.ready == slots.target else f"{slots.ready} of {slots.target}"
        logger.log(
            logging.INFO if slots.ready == slots.target else logging.WARNING,
            "ready, %s %s up in %.1f s. Ctrl-C lets running tasks finish.",
            up,
            "worker" if slots.target == 1 else "workers",
            seconds,
            extra={"event": "ready", "workers": slots.ready, "seconds": round(seconds, 3)},
        )
        self.notifier.ready(self.text())

    def _extend(self) -> None:
        """Ask for more time: for all that takes its time anew, because each has a limit of its own."""
        doing, now = self._doing(), self.situation.clock.now()
        before, at = self.extended
        if doing != before or now - at >= EXTEND_INTERVAL:
            self.extended = (doing, now)
            if doing:
                self.notifier.extend(EXTEND_BY)

    def _doing(self) -> str:
        if self.situation.is_stopping:
            return "stopping"
        if self.situation.is_reloading:
            return "reloading"
        return "" if self.situation.was_ready else "starting"

    def text(self) -> str:
        """Return the status line."""
        situation = self.situation
        slots = situation.slots
        if situation.is_stopping:
            left = len(slots.children())
            return f"stopping: {left} worker{'' if left == 1 else 's'} left"
        if slots.are_hopeless:
            return "failed: no worker stays up, trying once a minute"
        if situation.database.is_reachable is False:
            return "waiting for the database"
        running = [len(child.tasks) for child in slots.children() if child.tasks]
        if situation.is_draining:
            return f"draining: {sum(running)} tasks running, no other is started"
        if situation.is_reloading:
            return f"reloading: {slots.ready}/{slots.target} workers up"
        return f"{slots.ready}/{slots.target} workers up, {len(running)} busy"
