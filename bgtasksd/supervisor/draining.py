"""This host starts no task for a while: workers finish what they run, stay up and wait to be let go. Or all ends."""

from __future__ import annotations

import logging
from typing import Any

from bgtasksd.supervisor import holding
from bgtasksd.supervisor.changes import STOPPING, Change, Changes
from bgtasksd.supervisor.child import Child
from bgtasksd.supervisor.handover import State
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.stopping import Haste, Stopping

logger = logging.getLogger("bgtasksd.supervisor")


class Draining:
    """From the order to the last task's end; what came of it lasts until it is undone."""

    def __init__(self, situation: Situation, stopping: Stopping, changes: Changes) -> None:
        self.situation = situation
        self.stopping = stopping
        self.changes = changes
        self.change: Change | None = None
        """The one under way."""
        self.exits = False
        self.told = 0

    def begin(self, *, exits: bool) -> dict[str, Any]:
        """Let no worker start a task; with `exits` stop once none runs. Return the answer."""
        situation = self.situation
        self.exits = exits
        if not situation.is_draining:
            situation.is_draining = True
            self._tell_all()
            logger.info("draining: no task is started here", extra={"event": "draining"})
        self.change = self.change or self.changes.begin("drain")
        self.told = self.stopping.running()
        return self.change.accepted(running=self.told, exits=exits)

    def undo(self) -> dict[str, Any]:
        """Let the workers start tasks again; return the answer."""
        was_draining = self.situation.is_draining
        self.situation.is_draining = False
        if was_draining:
            self._tell_all()
            logger.info("tasks are started again", extra={"event": "resumed"})
        self._end("undone: tasks are started again")
        return {"accepted": "resume", "was_draining": was_draining}

    def handed_over(self) -> State | None:
        """Return what `take_over` takes: the one under way."""
        if self.change is None:
            return None
        return {"change": self.change.number, "exits": self.exits, "told": self.told}

    def take_over(self, handed: State | None) -> None:
        """Go on with what the program before this one has begun."""
        if handed is not None:
            self.change = self.changes.resume(handed["change"], "drain")
            self.exits, self.told = handed["exits"], handed["told"]

    def next_at(self) -> float | None:
        """Return None: that a worker comes to rest is an event."""

    def run(self) -> None:
        """Count down, and see whether every worker has come to rest."""
        if self.change is None:
            return
        if self.situation.is_stopping:
            self._end(STOPPING)
            return
        running = self.stopping.running()
        if running != self.told:
            self.told = running
            self.change.say(f"{running:,} task{'' if running == 1 else 's'} running…", running=running)
        if not running and all(map(_is_at_rest, self.situation.slots.children())):
            self._conclude()

    def _conclude(self) -> None:
        assert self.change is not None
        logger.info("drained", extra={"event": "drained"})
        self.change.done(exits=self.exits)
        self.change = None
        if self.exits:
            self.stopping.begin(Haste.FINISH)

    def _end(self, why: str) -> None:
        if self.change is not None:
            self.change.failed(why)
            self.change = None

    def _tell_all(self) -> None:
        for child in self.situation.slots.children():
            holding.tell(self.situation, child)


def _is_at_rest(child: Child) -> bool:
    """Tell whether a worker holds no task and starts none: one that has not booted was born so."""
    return child.page.has_heard_hold or not child.has_booted
