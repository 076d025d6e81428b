"""Stopping in bounded time: finish, else interrupt, else kill; nothing is left unaccounted when the daemon ends."""

from __future__ import annotations

import enum
import logging

from bgtasksd.supervisor import ending
from bgtasksd.supervisor.changes import Change
from bgtasksd.supervisor.child import Cause, Child
from bgtasksd.supervisor.link import MAINTENANCE_GRACE, ZYGOTE_GRACE
from bgtasksd.supervisor.situation import Situation
from bgtasksd.supervisor.states import ENDING

FAST_GRACE = 2.0
"""Seconds that an interrupted task gets in a fast stop."""

logger = logging.getLogger("bgtasksd.supervisor")


class Haste(enum.IntEnum):
    """How a stop treats running tasks."""

    NONE = 0
    FINISH = 1
    INTERRUPT = 2
    FAST = 3


class Stopping:
    """The end of the daemon, from the first order to the last process."""

    def __init__(self, situation: Situation, change: Change) -> None:
        self.situation = situation
        self.change = change
        """Whoever asks for the stop hears how it ended."""
        self.haste = Haste.NONE
        self.exit_code = 0

    @property
    def is_over(self) -> bool:
        """Tell whether every process of ours is gone and every death accounted for or written down."""
        situation = self.situation
        return (
            situation.is_stopping
            and not situation.slots.children()
            and all(each.is_gone for each in situation.helpers())
        )

    def begin(self, haste: Haste) -> None:
        """Begin to stop, or hurry up; a slower order than the one in force changes nothing."""
        if haste <= self.haste:
            return
        self.haste = haste
        self.situation.is_stopping = True
        self.say()
        for child in self.situation.slots.children():
            self.stop_worker(child)

    def again(self) -> None:
        """Act on TERM or INT: finish; the second time interrupt."""
        self.begin(Haste.FINISH if self.haste is Haste.NONE else Haste.INTERRUPT)

    def say(self) -> None:
        """Log what happens now."""
        running = self.running()
        limit = self.situation.options.drain_timeout
        if self.haste is Haste.FINISH and running:
            tasks = "1 task" if running == 1 else f"{running} tasks"
            text = "stopping: %s running, up to %.0f s; again to interrupt"
            logger.info(text, tasks, limit, extra={"event": "stopping"})
        else:
            words = {Haste.FINISH: "", Haste.INTERRUPT: ", interrupting", Haste.FAST: " at once, interrupting"}
            tasks = f"{words[self.haste]} {running} tasks" if running else ""
            logger.info("stopping%s", tasks, extra={"event": "stopping"})

    def running(self) -> int:
        """Return how many tasks are held."""
        return sum(len(child.page.tasks()) for child in self.situation.slots.children())

    def stop_worker(self, child: Child) -> None:
        """Give one worker the order that the haste asks for."""
        situation, options = self.situation, self.situation.options
        if child.state in ENDING:
            return
        grace = FAST_GRACE if self.haste is Haste.FAST else options.kill_grace
        ending.drain(situation, child, "stopped", within=options.drain_timeout)
        if self.haste is Haste.FINISH:
            return
        ending.drain(situation, child, "stopped", within=min(grace, options.drain_timeout))
        child.grace = min(child.grace, grace)
        for interruption in child.interruptions.values():
            interruption.grace = min(interruption.grace, grace)
        ending.interrupt(situation, child, Cause.STOP, grace)

    def next_at(self) -> float | None:
        """Return None: every step of the end is an event."""

    def run(self) -> None:
        """Take the next step, once the workers are gone."""
        situation = self.situation
        if situation.error_text and self.haste < Haste.FAST:
            self.exit_code = situation.error_code
            self.begin(Haste.FAST)
        if not situation.is_stopping or situation.slots.children():
            return
        for link in (situation.zygote, *situation.beside):
            link.end(ZYGOTE_GRACE)
        if situation.deaths.waiting and situation.database.is_reachable is False:
            situation.deaths.spool()
        if not situation.deaths.waiting or situation.deaths.are_safe:
            situation.maintenance.end(MAINTENANCE_GRACE)
